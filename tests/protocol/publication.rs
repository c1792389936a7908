//! What a device uploads: what a node takes of it, and what it refuses.

use conclave::ids::KeyId;
use conclave::protocol::public::{VerifyError, verify_prekey_publication};
use conclave::wire::{DeviceList, KemPrekeyUse, PrekeyPublication, WireError, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::support::{Device, two_devices};

/// A device, its account's list, and all that the device has published, with few one-time prekeys.
fn published() -> (Device, DeviceList, PrekeyPublication) {
    let (directory, account, device, ..) = two_devices(400);
    let mut stock = directory.prekeys[&device.address()].clone();
    stock.one_time.truncate(2);
    stock.one_time_kem.truncate(2);
    let publication = PrekeyPublication {
        signed_prekey: stock.signed,
        last_resort_kem_prekey: stock.last_resort,
        one_time_prekeys: stock.one_time,
        one_time_kem_prekeys: stock.one_time_kem,
    };
    (device, directory.lists[&account.root.account_id()].clone(), publication)
}

/// A change to a publication, and what it is refused for.
type Refused = (fn(&mut PrekeyPublication), VerifyError);

fn wrong_places() -> Vec<Refused> {
    let misplaced = VerifyError::Prekeys(WireError::Invalid { field: "use of a KEM prekey" });
    vec![
        (|it| it.one_time_kem_prekeys.extend(it.last_resort_kem_prekey.take()), misplaced),
        (|it| it.last_resort_kem_prekey = it.one_time_kem_prekeys.pop(), misplaced),
        // The use is signed: it cannot be changed to fit.
        (
            |it| {
                it.last_resort_kem_prekey = it.one_time_kem_prekeys.pop();
                it.last_resort_kem_prekey.as_mut().unwrap().usage = KemPrekeyUse::LastResort;
            },
            VerifyError::Signature { part: "KEM prekey" },
        ),
    ]
}

fn wrong_ids_and_signatures() -> Vec<Refused> {
    const OTHER: KeyId = KeyId::from_bytes([0; 8]);
    let key_id = |part| VerifyError::KeyId { part };
    let signature = |part| VerifyError::Signature { part };
    vec![
        (|it| it.signed_prekey.as_mut().unwrap().key_id = OTHER, key_id("signed prekey")),
        (|it| it.last_resort_kem_prekey.as_mut().unwrap().key_id = OTHER, key_id("KEM prekey")),
        (|it| it.one_time_prekeys[1].key_id = OTHER, key_id("one-time prekey")),
        (|it| it.one_time_kem_prekeys[1].key_id = OTHER, key_id("KEM prekey")),
        (|it| it.signed_prekey.as_mut().unwrap().signature.0[0] ^= 1, signature("signed prekey")),
        (|it| it.last_resort_kem_prekey.as_mut().unwrap().signature.0[0] ^= 1, signature("KEM prekey")),
        (|it| it.one_time_kem_prekeys[1].signature.0[0] ^= 1, signature("KEM prekey")),
    ]
}

#[test]
fn a_publication_is_refused_for_a_wrong_place_id_or_signature() {
    let (device, _, good) = published();
    assert_eq!(verify_prekey_publication(&good, device.machine.device()), Ok(()));
    assert_eq!(verify_prekey_publication(&PrekeyPublication::default(), device.machine.device()), Ok(()));
    for (change, expected) in [wrong_places(), wrong_ids_and_signatures()].concat() {
        let mut changed = good.clone();
        change(&mut changed);
        assert_eq!(verify_prekey_publication(&changed, device.machine.device()), Err(expected));
    }
}

#[test]
fn a_publication_is_another_device_s_to_nobody() {
    let (_, _, good) = published();
    let (_, _, other, ..) = two_devices(401);
    let expected = Err(VerifyError::Signature { part: "signed prekey" });
    assert_eq!(verify_prekey_publication(&good, other.machine.device()), expected);
}

#[test]
fn a_publication_holds_200_one_time_prekeys_of_a_kind_and_no_more() {
    let (device, _, good) = published();
    let verify = |publication: &PrekeyPublication| verify_prekey_publication(publication, device.machine.device());
    let limit = limits::ONE_TIME_PREKEYS_MAX;
    let over = |field| Err(VerifyError::Prekeys(WireError::OverLimit { field, limit }));
    let mut full = good;
    full.one_time_prekeys.resize(limit, full.one_time_prekeys[0].clone());
    full.one_time_kem_prekeys.resize(limit, full.one_time_kem_prekeys[0].clone());
    assert_eq!(verify(&full), Ok(()));
    let mut one_more = full.clone();
    one_more.one_time_prekeys.push(full.one_time_prekeys[0].clone());
    assert_eq!(verify(&one_more), over("one-time prekeys"));
    full.one_time_kem_prekeys.push(full.one_time_kem_prekeys[0].clone());
    assert_eq!(verify(&full), over("one-time KEM prekeys"));
}

/// Whether both forms of a value are parsed; they agree in that.
fn parses<T: Serialize + DeserializeOwned>(value: &T) -> bool {
    let from_json = serde_json::from_slice::<T>(&serde_json::to_vec(value).unwrap()).is_ok();
    let mut cbor = Vec::new();
    ciborium::into_writer(value, &mut cbor).unwrap();
    assert_eq!(ciborium::from_reader::<T, _>(cbor.as_slice()).is_ok(), from_json);
    from_json
}

#[test]
fn lists_past_their_limits_are_not_parsed() {
    let (_, mut list, publication) = published();
    list.devices.resize(limits::DEVICES_MAX, list.devices[0].clone());
    assert!(parses(&list));
    list.devices.push(list.devices[0].clone());
    assert!(!parses(&list));

    let limit = limits::ONE_TIME_PREKEYS_MAX;
    let with_counts = |one_time, one_time_kem| {
        let mut publication = publication.clone();
        publication.one_time_prekeys.resize(one_time, publication.one_time_prekeys[0].clone());
        publication.one_time_kem_prekeys.resize(one_time_kem, publication.one_time_kem_prekeys[0].clone());
        publication
    };
    assert!(parses(&with_counts(limit, limit)));
    assert!(!parses(&with_counts(limit + 1, limit)));
    assert!(!parses(&with_counts(limit, limit + 1)));
}
