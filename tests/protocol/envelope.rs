//! Envelopes: their two forms, their signature, and the rule for replays.

use std::collections::BTreeMap;

use ciborium::Value as Cbor;
use conclave::ids::{AccountId, DeviceAddress, DeviceId, EnvelopeId, KeyId, RoomId};
use conclave::protocol::identity::DeviceIdentity;
use conclave::protocol::public::{
    ReplayKey, ReplayWindow, StaleError, VerifyError, envelope_signed_bytes, signing_key_id, verify_envelope,
};
use conclave::wire::{
    ByteString, Bytes, Custody, Destination, Envelope, EnvelopeError, Protection, RoomPolicy, Signatures, Timestamp,
    Writer, limits,
};
use core::time::Duration;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::pair::identity;
use crate::support::{POLICY, ROOM, START, rng};

fn address() -> impl Strategy<Value = DeviceAddress> {
    any::<([u8; 16], [u8; 16])>().prop_map(|(account, device)| DeviceAddress {
        account_id: AccountId::from_bytes(account),
        device_id: DeviceId::from_bytes(device),
    })
}

fn destination() -> impl Strategy<Value = Destination> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(|id| Destination::Room(RoomId::from_bytes(id))),
        any::<[u8; 16]>().prop_map(|id| Destination::Mailbox(DeviceId::from_bytes(id))),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let payload = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..300),
        1 => prop::collection::vec(any::<u8>(), 4_000..9_000),
    ];
    let signature = prop::option::of(prop::array::uniform32(any::<u16>()));
    let parts = (any::<[u8; 16]>(), destination(), address(), prop::option::of(address()), any::<[u8; 8]>());
    let more = (prop::option::of(any::<u64>()), any::<[u8; 12]>(), any::<u64>(), payload, signature);
    (parts, more).prop_map(
        |((id, destination, sender, recipient, key_id), (epoch, nonce, timestamp, payload, signature))| Envelope {
            id: EnvelopeId::from_bytes(id),
            destination,
            sender,
            recipient,
            key_id: KeyId::from_bytes(key_id),
            epoch,
            nonce: Bytes(nonce),
            timestamp: Timestamp::from_millis(timestamp),
            payload: ByteString(payload),
            signature: signature
                .map(|halves| Bytes(core::array::from_fn(|index| halves[index / 2].to_be_bytes()[index % 2]))),
        },
    )
}

fn signed_fields(envelope: &Envelope) -> Vec<u8> {
    envelope.write_signed_fields(Writer::default()).finish()
}

/// The first envelope with some fields of the other.
fn mix(one: &Envelope, other: Envelope, taken: [bool; 9]) -> Envelope {
    let mut mixed = one.clone();
    let Envelope { id, destination, sender, recipient, key_id, epoch, nonce, timestamp, payload, signature } = other;
    let [is_id, is_destination, is_sender, is_recipient, is_key_id, is_epoch, is_nonce, is_time, is_payload] = taken;
    mixed.signature = signature; // Never signed, so it makes no difference.
    if is_id {
        mixed.id = id;
    }
    if is_destination {
        mixed.destination = destination;
    }
    if is_sender {
        mixed.sender = sender;
    }
    if is_recipient {
        mixed.recipient = recipient;
    }
    if is_key_id {
        mixed.key_id = key_id;
    }
    if is_epoch {
        mixed.epoch = epoch;
    }
    if is_nonce {
        mixed.nonce = nonce;
    }
    if is_time {
        mixed.timestamp = timestamp;
    }
    if is_payload {
        mixed.payload = payload;
    }
    mixed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn both_forms_give_back_the_envelope_and_the_same_bytes_to_sign(envelope in envelope()) {
        let from_json = Envelope::from_json(&envelope.to_json()).unwrap();
        let from_cbor = Envelope::from_cbor(&envelope.to_cbor()).unwrap();
        prop_assert_eq!(signed_fields(&from_json), signed_fields(&envelope));
        prop_assert_eq!(signed_fields(&from_cbor), signed_fields(&envelope));
        prop_assert_eq!(&from_json, &envelope);
        prop_assert_eq!(&from_cbor, &envelope);
    }

    #[test]
    fn two_envelopes_have_the_same_bytes_to_sign_only_if_they_are_equal(
        one in envelope(),
        other in envelope(),
        taken in prop::array::uniform9(any::<bool>()),
    ) {
        let mixed = mix(&one, other, taken);
        let is_equal = Envelope { signature: None, ..one.clone() } == Envelope { signature: None, ..mixed.clone() };
        prop_assert_eq!(signed_fields(&one) == signed_fields(&mixed), is_equal);
    }

    #[test]
    fn a_cut_or_lengthened_form_is_refused(envelope in envelope(), at in any::<prop::sample::Index>()) {
        let (json, cbor) = (envelope.to_json(), envelope.to_cbor());
        prop_assert!(Envelope::from_json(&json[..at.index(json.len())]).is_err());
        prop_assert!(Envelope::from_cbor(&cbor[..at.index(cbor.len())]).is_err());
        let lengthened = [&json[..], b"x"].concat();
        prop_assert!(Envelope::from_json(&lengthened).is_err());
        let is_trailing = matches!(Envelope::from_cbor(&[&cbor[..], &[0]].concat()), Err(EnvelopeError::Trailing));
        prop_assert!(is_trailing);
    }
}

fn sender() -> DeviceIdentity {
    identity(&mut rng(300))
}

/// An envelope with every field that a pairwise one has, signed.
fn signed(sender: &DeviceIdentity, policy: RoomPolicy) -> Envelope {
    let mut envelope = Envelope {
        id: EnvelopeId::from_bytes([1; 16]),
        destination: Destination::Room(ROOM),
        sender: sender.address(),
        recipient: Some(DeviceAddress {
            account_id: AccountId::from_bytes([2; 16]),
            device_id: DeviceId::from_bytes([3; 16]),
        }),
        key_id: signing_key_id(sender.device().signing_key()),
        epoch: None,
        nonce: Bytes([4; 12]),
        timestamp: START,
        payload: ByteString(vec![5; 20]),
        signature: None,
    };
    envelope.signature = Some(sender.keys().signing.sign(&envelope_signed_bytes(&envelope, policy)));
    envelope
}

#[test]
fn the_forms_have_the_field_names_of_the_format() {
    let envelope = signed(&sender(), POLICY);
    let json: Json = serde_json::from_slice(&envelope.to_json()).unwrap();
    let mut names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "id",
        "key_id",
        "nonce",
        "payload",
        "recipient_device",
        "recipient_id",
        "room_id",
        "sender_device",
        "sender_id",
        "signature",
        "timestamp",
        "type",
        "v",
    ];
    assert_eq!(names, expected);
    assert_eq!((&json["v"], &json["type"]), (&json!(1), &json!("e2ee_encrypted_message")));
    assert_eq!(json["payload"], "BQUFBQUFBQUFBQUFBQUFBQUFBQU");
    let cbor: BTreeMap<String, Cbor> = ciborium::from_reader(envelope.to_cbor().as_slice()).unwrap();
    assert!(cbor.keys().eq(expected));
    assert_eq!(cbor["payload"], Cbor::Bytes(vec![5; 20]));
}

/// What may not be changed in an envelope's form where it is parsed: the field, and what stands there
/// instead (`null` takes the field away).
fn bad_changes() -> Vec<(&'static str, Json)> {
    vec![
        ("colour", json!("red")),
        ("v", json!("1")),
        ("v", json!(256)),
        ("v", Json::Null),
        ("type", json!("e2ee_plain_message")),
        ("type", Json::Null),
        ("id", Json::Null),
        ("id", json!("AAAA")),
        ("id", json!("AAAAAAAAAAAAAAAAAAAAAA==")),
        ("sender_id", Json::Null),
        ("sender_device", Json::Null),
        ("key_id", Json::Null),
        ("key_id", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("epoch", json!(-1)),
        ("nonce", Json::Null),
        ("nonce", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("timestamp", Json::Null),
        ("timestamp", json!(-1)),
        ("timestamp", json!(1.5)),
        ("timestamp", json!("0")),
        ("payload", Json::Null),
        ("payload", json!("not base64url!")),
        ("payload", json!([1, 2, 3])),
        ("signature", json!("AAAA")),
    ]
}

/// What parses, and is refused for what it says.
fn refused_changes() -> Vec<(&'static str, Json, EnvelopeError)> {
    let limit = limits::PAYLOAD_BYTES_MAX;
    vec![
        ("v", json!(2), EnvelopeError::UnknownVersion { version: 2 }),
        ("v", json!(0), EnvelopeError::UnknownVersion { version: 0 }),
        ("room_id", Json::Null, EnvelopeError::Destination),
        ("mailbox", json!("AAAAAAAAAAAAAAAAAAAAAA"), EnvelopeError::Destination),
        ("recipient_id", Json::Null, EnvelopeError::Recipient),
        ("recipient_device", Json::Null, EnvelopeError::Recipient),
        ("payload", json!(ByteString(vec![7; limit + 1])), EnvelopeError::PayloadTooLong { limit }),
    ]
}

/// A good envelope's JSON with one field changed.
fn changed(field: &str, value: &Json) -> Json {
    let mut form: Json = serde_json::from_slice(&signed(&sender(), POLICY).to_json()).unwrap();
    let fields = form.as_object_mut().unwrap();
    if value.is_null() {
        fields.remove(field).unwrap();
    } else {
        fields.insert(field.to_owned(), value.clone());
    }
    form
}

#[test]
fn a_form_with_a_wrong_field_is_refused() {
    Envelope::from_json(changed("v", &json!(1)).to_string().as_bytes()).unwrap();
    for (field, value) in bad_changes() {
        let error = Envelope::from_json(changed(field, &value).to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, EnvelopeError::Json { line: 1, column: 1.. }), "{field}: {value}: {error}");
    }
    for (field, value, expected) in refused_changes() {
        let form = changed(field, &value);
        assert_eq!(Envelope::from_json(form.to_string().as_bytes()), Err(expected), "{field}");
        // The same inside a larger body, where the error is the form's own.
        let error = serde_json::from_value::<Envelope>(form).unwrap_err();
        assert_eq!(error.to_string(), expected.to_string(), "{field}");
    }
}

/// Whoever sends bytes does not write into the log of whoever reads them.
#[test]
fn what_the_sender_wrote_is_not_repeated_in_an_error() {
    let text = "a text of the sender";
    for field in ["v", "type", "id", "epoch", "payload", text] {
        let mut json = changed("v", &json!(1));
        json[field] = json!(text);
        let mut cbor = Vec::new();
        ciborium::into_writer(&json, &mut cbor).unwrap();
        let in_json = Envelope::from_json(json.to_string().as_bytes()).unwrap_err();
        for error in [in_json, Envelope::from_cbor(&cbor).unwrap_err()] {
            assert!(!format!("{error} {error:?}").contains(text), "{field}: {error:?}");
            assert!(std::error::Error::source(&error).is_none(), "{field}: {error:?}");
        }
    }
    let malformed = format!("{{\n  \"{text}");
    let error = Envelope::from_json(malformed.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "not an envelope in JSON, line 2, column 23");
}

#[test]
fn a_cbor_form_with_a_wrong_field_is_refused() {
    let good: Vec<(Cbor, Cbor)> =
        ciborium::from_reader::<Cbor, _>(signed(&sender(), POLICY).to_cbor().as_slice()).unwrap().into_map().unwrap();
    let parse = |fields: Vec<(Cbor, Cbor)>| {
        let mut bytes = Vec::new();
        ciborium::into_writer(&Cbor::Map(fields), &mut bytes).unwrap();
        Envelope::from_cbor(&bytes)
    };
    parse(good.clone()).unwrap();
    for missing in 0..good.len() {
        let mut fields = good.clone();
        let (name, _) = fields.remove(missing);
        // Pairwise envelopes have all of these but the signature, which the policy decides on.
        let is_allowed = name == Cbor::Text("signature".to_owned());
        assert_eq!(parse(fields).is_ok(), is_allowed, "{name:?}");
    }
    let set = |name: &str, value: Cbor| {
        let mut fields = good.clone();
        fields.retain(|(key, _)| *key != Cbor::Text(name.to_owned()));
        fields.push((Cbor::Text(name.to_owned()), value));
        fields
    };
    assert_eq!(parse(set("colour", Cbor::Null)), Err(EnvelopeError::Cbor));
    assert_eq!(parse(set("v", Cbor::from(2))), Err(EnvelopeError::UnknownVersion { version: 2 }));
    assert_eq!(parse(set("mailbox", Cbor::Bytes(vec![0; 16]))), Err(EnvelopeError::Destination));
    assert_eq!(parse(set("id", Cbor::Bytes(vec![0; 15]))), Err(EnvelopeError::Cbor));
    let text = Cbor::Text("AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    assert_eq!(parse(set("id", text)), Err(EnvelopeError::Cbor));
    let mut twice = good.clone();
    twice.push(good[0].clone());
    assert_eq!(parse(twice), Err(EnvelopeError::Cbor));
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let json = String::from_utf8(signed(&sender(), POLICY).to_json()).unwrap();
    for field in ["\"v\":1,", "\"timestamp\":1,", "\"sender_id\":\"AAAAAAAAAAAAAAAAAAAAAA\","] {
        // The form is good but for the second one, so that is what is refused.
        let twice = json.replacen('{', &format!("{{{field}"), 1);
        let error = Envelope::from_json(twice.as_bytes()).unwrap_err();
        assert!(matches!(error, EnvelopeError::Json { .. }), "{field}: {error}");
    }
}

#[test]
fn a_payload_of_64_kib_fits_and_one_byte_more_does_not() {
    let mut envelope = signed(&sender(), POLICY);
    envelope.payload = ByteString(vec![7; limits::PAYLOAD_BYTES_MAX]);
    envelope.epoch = Some(u64::MAX);
    envelope.timestamp = Timestamp::from_millis(u64::MAX);
    assert!(envelope.to_json().len() <= limits::ENVELOPE_BYTES_MAX);
    assert_eq!(Envelope::from_json(&envelope.to_json()).unwrap(), envelope);
    assert_eq!(Envelope::from_cbor(&envelope.to_cbor()).unwrap(), envelope);
    envelope.payload.0.push(7);
    let too_long = EnvelopeError::PayloadTooLong { limit: limits::PAYLOAD_BYTES_MAX };
    assert_eq!(Envelope::from_json(&envelope.to_json()), Err(too_long));
    assert_eq!(Envelope::from_cbor(&envelope.to_cbor()), Err(too_long));
}

#[test]
fn more_bytes_than_an_envelope_has_are_not_looked_at() {
    let json = signed(&sender(), POLICY).to_json();
    let mut padded = json.clone();
    padded.resize(limits::ENVELOPE_BYTES_MAX, b' ');
    Envelope::from_json(&padded).unwrap();
    padded.push(b' ');
    assert!(matches!(Envelope::from_json(&padded), Err(EnvelopeError::TooLong { .. })));
    assert!(matches!(Envelope::from_cbor(&padded), Err(EnvelopeError::TooLong { .. })));
}

/// All policies that there are.
fn policies() -> Vec<RoomPolicy> {
    let mut policies = Vec::new();
    for custody in [Custody::Client, Custody::Node] {
        for protection in [Protection::Ratchet, Protection::Mls] {
            for signatures in [Signatures::On, Signatures::Off] {
                policies.push(RoomPolicy { custody, protection, signatures });
            }
        }
    }
    policies
}

#[test]
fn a_signature_holds_for_one_policy_alone() {
    let sender = sender();
    for made_for in policies() {
        let envelope = signed(&sender, made_for);
        for shown_under in policies() {
            let expected = match shown_under.signatures {
                Signatures::Off => Err(VerifyError::SignatureUnexpected),
                Signatures::On if made_for == shown_under => Ok(shown_under),
                Signatures::On => Err(VerifyError::Signature { part: "envelope" }),
            };
            let verified = verify_envelope(&envelope, shown_under, sender.device());
            assert_eq!(verified.map(|verified| verified.policy()), expected, "{made_for:?} {shown_under:?}");
        }
        let unsigned = Envelope { signature: None, ..envelope };
        let verified = verify_envelope(&unsigned, made_for, sender.device());
        match made_for.signatures {
            Signatures::Off => assert_eq!(verified.unwrap().envelope(), &unsigned),
            Signatures::On => assert_eq!(verified.unwrap_err(), VerifyError::SignatureMissing),
        }
    }
}

#[test]
fn a_signature_covers_every_field_of_the_envelope() {
    let sender = sender();
    let good = signed(&sender, POLICY);
    verify_envelope(&good, POLICY, sender.device()).unwrap();
    let other = DeviceAddress { account_id: AccountId::from_bytes([9; 16]), device_id: DeviceId::from_bytes([9; 16]) };
    let bad = [
        Envelope { id: EnvelopeId::from_bytes([9; 16]), ..good.clone() },
        Envelope { destination: Destination::Room(RoomId::from_bytes([9; 16])), ..good.clone() },
        Envelope { destination: Destination::Mailbox(DeviceId::from_bytes(*ROOM.as_bytes())), ..good.clone() },
        Envelope { recipient: Some(other), ..good.clone() },
        Envelope { recipient: None, ..good.clone() },
        Envelope { epoch: Some(0), ..good.clone() },
        Envelope { nonce: Bytes([9; 12]), ..good.clone() },
        Envelope { timestamp: Timestamp::from_millis(9), ..good.clone() },
        Envelope { payload: ByteString(vec![5; 19]), ..good.clone() },
    ];
    for envelope in bad {
        let error = verify_envelope(&envelope, POLICY, sender.device()).unwrap_err();
        assert_eq!(error, VerifyError::Signature { part: "envelope" }, "{envelope:?}");
    }
}

#[test]
fn another_sender_another_key_and_another_signature_are_told_apart() {
    let (sender, other) = (sender(), identity(&mut rng(301)));
    let good = signed(&sender, POLICY);
    let part = "envelope";
    assert_eq!(verify_envelope(&good, POLICY, other.device()).unwrap_err(), VerifyError::Owner { part });
    let renamed = Envelope { sender: other.address(), ..good.clone() };
    assert_eq!(verify_envelope(&renamed, POLICY, other.device()).unwrap_err(), VerifyError::KeyId { part });
    let other_key = Envelope { key_id: signing_key_id(other.device().signing_key()), ..renamed };
    assert_eq!(verify_envelope(&other_key, POLICY, other.device()).unwrap_err(), VerifyError::Signature { part });
    for byte in 0..64 {
        let mut signature = good.signature.unwrap();
        signature.0[byte] ^= 1;
        let forged = Envelope { signature: Some(signature), ..good.clone() };
        assert_eq!(verify_envelope(&forged, POLICY, sender.device()).unwrap_err(), VerifyError::Signature { part });
    }
}

/// What a node keeps beside the rule: each nonce, and until when it is remembered.
#[derive(Default)]
struct Remembered(BTreeMap<ReplayKey, Timestamp>);

#[derive(Debug, PartialEq)]
enum Refused {
    Stale(StaleError),
    Replayed,
}

impl Remembered {
    fn admit(&mut self, envelope: &Envelope, now: Timestamp) -> Result<(), Refused> {
        let window = ReplayWindow::default();
        window.check(envelope.timestamp, now).map_err(Refused::Stale)?;
        self.0.retain(|_, until| *until >= now);
        match self.0.insert(ReplayKey::from(envelope), now.plus(window.nonce_ttl())) {
            None => Ok(()),
            Some(_) => Err(Refused::Replayed),
        }
    }
}

#[test]
fn an_envelope_is_admitted_once_for_as_long_as_it_is_fresh() {
    let envelope = signed(&sender(), POLICY);
    let mut remembered = Remembered::default();
    let after = |span: Duration| START.plus(span);
    assert_eq!(remembered.admit(&envelope, START), Ok(()));
    assert_eq!(remembered.admit(&envelope, START), Err(Refused::Replayed));
    assert_eq!(remembered.admit(&envelope, after(limits::TIMESTAMP_AGE_MAX)), Err(Refused::Replayed));
    let too_old = StaleError::TooOld { age_ms: 270_001, limit_ms: 270_000 };
    let later = after(limits::TIMESTAMP_AGE_MAX + Duration::from_millis(1));
    assert_eq!(remembered.admit(&envelope, later), Err(Refused::Stale(too_old)));
}

#[test]
fn an_envelope_that_came_early_is_never_admitted_twice() {
    let envelope = signed(&sender(), POLICY);
    let early = Timestamp::from_millis(START.as_millis() - 30_000);
    let mut remembered = Remembered::default();
    assert_eq!(remembered.admit(&envelope, early), Ok(()));
    for second in 0..=330 {
        remembered.admit(&envelope, early.plus(Duration::from_secs(second))).unwrap_err();
    }
    let too_early = Timestamp::from_millis(START.as_millis() - 30_001);
    let ahead = StaleError::TooFarAhead { ahead_ms: 30_001, limit_ms: 30_000 };
    assert_eq!(Remembered::default().admit(&envelope, too_early), Err(Refused::Stale(ahead)));
}

#[test]
fn a_nonce_is_one_sender_s_in_one_place() {
    let envelope = signed(&sender(), POLICY);
    let mut remembered = Remembered::default();
    remembered.admit(&envelope, START).unwrap();
    let other_sender = Envelope { sender: identity(&mut rng(301)).address(), ..envelope.clone() };
    let other_place = Envelope { destination: Destination::Room(RoomId::from_bytes([9; 16])), ..envelope.clone() };
    let other_nonce = Envelope { nonce: Bytes([9; 12]), ..envelope.clone() };
    for envelope in [other_sender, other_place, other_nonce] {
        assert_eq!(remembered.admit(&envelope, START), Ok(()));
    }
    // Another id, time or payload does not make a nonce new.
    let other_content = Envelope { id: EnvelopeId::from_bytes([9; 16]), payload: ByteString(vec![9]), ..envelope };
    assert_eq!(remembered.admit(&other_content, START), Err(Refused::Replayed));
}
