//! What devices publish: certificates, device lists, prekeys; and the keys in them.
//!
//! Input: any of these structures in JSON, CBOR or, where it has one, binary form.
//!
//! - What parses is the same value after a round trip through every form that it has.
//! - A key that parses has the one encoding that it was parsed from.
//! - Nothing verifies but what the fixed parties have signed.

use conclave::protocol::public::{
    AgreementPublicKey, KemPublicKey, RatchetPublicKey, SigningPublicKey, check_one_time_prekey, verify_device,
    verify_device_list, verify_kem_prekey, verify_prekey_bundle, verify_prekey_publication, verify_signed_prekey,
};
use conclave::wire::{
    DeviceCertificate, DeviceList, KemPrekey, PrekeyBundle, PrekeyPublication, Reader, SignedPrekey, Writer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Seed;
use super::parties::{Party, alice, bob};

/// Runs one input.
pub fn run(data: &[u8]) {
    if let Some(certificate) = parse(data).or_else(|| read(data, DeviceCertificate::read)) {
        check_binary(&certificate, DeviceCertificate::write, DeviceCertificate::read);
        check_certificate(&certificate);
    }
    if let Some(list) = parse(data).or_else(|| read(data, DeviceList::read)) {
        check_list(&list);
    }
    if let Some(bundle) = parse(data) {
        check_bundle(&bundle);
    }
    if let Some(publication) = parse(data) {
        check_publication(&publication);
    }
    if let Some(bytes) = data.first_chunk() {
        check_key(bytes);
    }
    if let Some(bytes) = data.first_chunk()
        && let Ok(key) = KemPublicKey::parse(bytes)
    {
        assert_eq!(key.to_bytes(), *bytes);
    }
}

/// Genuine structures in every form.
pub fn seeds() -> Vec<Seed> {
    let [alice, bob] = [alice(), bob()];
    let certificate = alice.identity.device().certificate();
    let two_devices = two_devices();
    let mut seeds = vec![
        ("certificate-binary".to_owned(), certificate.write(Writer::default()).finish()),
        ("list-binary".to_owned(), two_devices.write(Writer::default()).finish()),
        ("agreement-key".to_owned(), certificate.agreement_key.0.to_vec()),
        ("signing-key".to_owned(), certificate.signing_key.0.to_vec()),
        ("kem-key".to_owned(), bob.one_time_kem_prekey.public_key().to_bytes().to_vec()),
    ];
    seeds.extend(forms("certificate", certificate));
    seeds.extend(forms("list", &alice.list));
    seeds.extend(forms("list-of-two", &two_devices));
    seeds.extend(forms("bundle", &bob.bundle()));
    seeds.extend(forms("bundle-without-one-time", &PrekeyBundle { one_time_prekey: None, ..bob.bundle() }));
    seeds.extend(forms("publication", &bob.publication));
    seeds.extend(forms("publication-empty", &PrekeyPublication::default()));
    seeds
}

fn forms<T: Serialize>(name: &str, value: &T) -> [Seed; 2] {
    [(format!("{name}-json"), to_json(value)), (format!("{name}-cbor"), to_cbor(value))]
}

fn parse<T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok().or_else(|| from_cbor(data))?;
    assert_eq!(serde_json::from_slice::<T>(&to_json(&value)).unwrap(), value);
    assert_eq!(from_cbor::<T>(&to_cbor(&value)).unwrap(), value);
    Some(value)
}

fn from_cbor<T: DeserializeOwned>(mut data: &[u8]) -> Option<T> {
    let value = ciborium::from_reader(&mut data).ok()?;
    data.is_empty().then_some(value)
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn to_cbor<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn read<T, E>(data: &[u8], read: impl Fn(&mut Reader<'_>) -> Result<T, E>) -> Option<T> {
    let mut reader = Reader::new(data);
    let value = read(&mut reader).ok()?;
    reader.end().ok().map(|()| value)
}

fn check_binary<T: PartialEq + core::fmt::Debug, E>(
    value: &T,
    write: impl Fn(&T, Writer) -> Writer,
    reads: impl Fn(&mut Reader<'_>) -> Result<T, E>,
) {
    let bytes = write(value, Writer::default()).finish();
    assert_eq!(read(&bytes, reads).as_ref(), Some(value));
}

fn check_certificate(certificate: &DeviceCertificate) {
    if let Ok(device) = verify_device(certificate) {
        assert!(genuine_certificates().contains(certificate), "a forged certificate verifies");
        assert_eq!(device.certificate(), certificate);
    }
}

fn check_list(list: &DeviceList) {
    check_binary(list, DeviceList::write, DeviceList::read);
    for certificate in &list.devices {
        check_certificate(certificate);
    }
    if let Ok(verified) = verify_device_list(list) {
        assert!([&alice().list, &bob().list, &two_devices()].contains(&list), "a forged device list verifies");
        assert_eq!(verified.list(), list);
        assert_eq!(verified.devices().len(), list.devices.len());
    }
}

fn check_bundle(bundle: &PrekeyBundle) {
    for party in [alice(), bob()] {
        if let Ok(verified) = verify_prekey_bundle(bundle, party.identity.device()) {
            assert_eq!(bundle.device, party.identity.address());
            assert!(is_genuine_signed(&bundle.signed_prekey, party), "a forged signed prekey verifies");
            assert!(is_genuine_kem(&bundle.kem_prekey, party), "a forged KEM prekey verifies");
            assert_eq!(verified.one_time_prekey().is_some(), bundle.one_time_prekey.is_some());
        }
    }
}

fn check_publication(publication: &PrekeyPublication) {
    let PrekeyPublication { signed_prekey, last_resort_kem_prekey, one_time_prekeys, one_time_kem_prekeys } =
        publication;
    assert_eq!(publication.is_empty(), *publication == PrekeyPublication::default());
    for party in [alice(), bob()] {
        let device = party.identity.device();
        if let Some(prekey) = signed_prekey {
            assert!(verify_signed_prekey(prekey, device).is_err() || is_genuine_signed(prekey, party));
        }
        for prekey in last_resort_kem_prekey.iter().chain(one_time_kem_prekeys) {
            assert!(verify_kem_prekey(prekey, device).is_err() || is_genuine_kem(prekey, party));
        }
        if verify_prekey_publication(publication, device).is_ok() {
            let genuine = &party.publication;
            assert!(signed_prekey.is_none() || *signed_prekey == genuine.signed_prekey);
            assert!(last_resort_kem_prekey.is_none() || *last_resort_kem_prekey == genuine.last_resort_kem_prekey);
            assert!(one_time_kem_prekeys.iter().all(|prekey| genuine.one_time_kem_prekeys.contains(prekey)));
        }
    }
    for prekey in one_time_prekeys {
        if let Ok((id, key)) = check_one_time_prekey(prekey) {
            assert_eq!((id, key.to_wire()), (prekey.key_id, prekey.public_key));
        }
    }
}

fn check_key(bytes: &[u8; 32]) {
    if let Ok(key) = SigningPublicKey::parse(bytes) {
        assert_eq!(key.as_bytes(), bytes);
    }
    let ratchet_key = RatchetPublicKey::parse(bytes);
    if let Ok(key) = AgreementPublicKey::parse(bytes) {
        assert_eq!(key.as_bytes(), bytes);
        assert_eq!(ratchet_key.as_ref(), Ok(key.as_ratchet_key()));
    }
    if let Ok(key) = ratchet_key {
        assert_eq!(key.as_bytes(), bytes);
    }
}

fn is_genuine_signed(prekey: &SignedPrekey, party: &Party) -> bool {
    party.publication.signed_prekey.as_ref() == Some(prekey)
}

fn is_genuine_kem(prekey: &KemPrekey, party: &Party) -> bool {
    let PrekeyPublication { last_resort_kem_prekey, one_time_kem_prekeys, .. } = &party.publication;
    last_resort_kem_prekey.iter().chain(one_time_kem_prekeys).any(|genuine| genuine == prekey)
}

fn genuine_certificates() -> Vec<DeviceCertificate> {
    let mut certificates = two_devices().devices;
    certificates.push(bob().identity.device().certificate().clone());
    certificates
}

/// A list of two devices of one account: the second has the first one's keys under another id.
fn two_devices() -> DeviceList {
    let alice = alice();
    let first = alice.identity.device();
    let id = conclave::ids::DeviceId::from_bytes([3; 16]);
    let second = alice.root.certify(id, first.signing_key(), first.agreement_key(), super::support::START);
    alice.root.sign_device_list(2, vec![first.certificate().clone(), second])
}
