//! Envelopes in JSON and CBOR.
//!
//! Input: one form; or a length `u16`, that many bytes of one form, and another form.
//!
//! - What parses is the same value after a round trip through either form.
//! - Two envelopes have the same signed bytes and signature exactly if they are equal: nothing can be
//!   changed, dropped or moved between fields under a signature.
//! - No envelope but the genuine ones verifies as signed by the fixed device.

use std::sync::OnceLock;

use conclave::ids::{AccountId, DeviceAddress, DeviceId, EnvelopeId, KeyId, RoomId};
use conclave::protocol::public::{ReplayKey, ReplayWindow, envelope_signed_bytes, signing_key_id, verify_envelope};
use conclave::wire::limits::ENVELOPE_BYTES_MAX;
use conclave::wire::{
    ByteString, Bytes, Custody, Destination, Envelope, Protection, RoomPolicy, Signatures, Timestamp,
};

use super::Seed;
use super::parties::{alice, bob};
use super::support::{POLICY, ROOM, START};

/// Runs one input.
pub fn run(data: &[u8]) {
    if let Some(envelope) = parse(data) {
        check_forms(&envelope);
        check_signature(&envelope);
        check_replay_window(&envelope);
        for other in neighbours(&envelope).iter().chain(genuine()) {
            check_pair(&envelope, other);
        }
    }
    if let Some((first, second)) = split(data)
        && let (Some(first), Some(second)) = (parse(first), parse(second))
    {
        check_pair(&first, &second);
    }
}

/// Genuine envelopes in both forms, and a pair of them.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (index, envelope) in genuine().iter().enumerate() {
        seeds.push((format!("json-{index}"), envelope.to_json()));
        seeds.push((format!("cbor-{index}"), envelope.to_cbor()));
    }
    let [first, second, ..] = genuine() else { return seeds };
    let (first, second) = (first.to_json(), second.to_cbor());
    let length = u16::try_from(first.len()).unwrap().to_be_bytes();
    seeds.push(("pair".to_owned(), [&length[..], &first, &second].concat()));
    seeds
}

fn parse(data: &[u8]) -> Option<Envelope> {
    let (json, cbor) = (Envelope::from_json(data).ok(), Envelope::from_cbor(data).ok());
    assert!(json.is_none() || cbor.is_none(), "one input is an envelope in both forms");
    json.or(cbor)
}

fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

fn check_forms(envelope: &Envelope) {
    let (json, cbor) = (envelope.to_json(), envelope.to_cbor());
    assert!(json.len() <= ENVELOPE_BYTES_MAX && cbor.len() <= ENVELOPE_BYTES_MAX, "a form is over its limit");
    assert_eq!(Envelope::from_json(&json).unwrap(), *envelope);
    assert_eq!(Envelope::from_cbor(&cbor).unwrap(), *envelope);
}

fn check_signature(envelope: &Envelope) {
    for sender in [alice(), bob()].map(|party| party.identity.device()) {
        for policy in policies() {
            let is_verified = verify_envelope(envelope, policy, sender).is_ok();
            if is_verified && policy.signatures == Signatures::On {
                assert!(policy == POLICY && genuine().contains(envelope), "a forged envelope verifies");
            }
            assert!(!is_verified || envelope.sender == sender.address(), "an envelope verifies as somebody else's");
        }
    }
}

fn check_replay_window(envelope: &Envelope) {
    let window = ReplayWindow::default();
    let is_fresh = window.check(envelope.timestamp, START).is_ok();
    let [oldest, newest] = [-270_000, 30_000].map(|offset| START.as_millis().saturating_add_signed(offset));
    assert_eq!(is_fresh, (oldest..=newest).contains(&envelope.timestamp.as_millis()));
    assert_eq!(ReplayKey::from(envelope).nonce, envelope.nonce);
}

fn check_pair(first: &Envelope, second: &Envelope) {
    let [(first_policy, first_bytes), (second_policy, second_bytes)] =
        [first, second].map(|envelope| (POLICY, envelope_signed_bytes(envelope, POLICY)));
    assert_eq!(
        first == second,
        (first_policy, first_bytes, first.signature) == (second_policy, second_bytes, second.signature),
        "equal under a signature and yet not equal, or the other way round"
    );
}

/// The envelope with each field changed in turn, in ways that would be easy to mix up.
fn neighbours(envelope: &Envelope) -> Vec<Envelope> {
    let mut neighbours = Vec::new();
    let mut add = |change: &dyn Fn(&mut Envelope)| {
        let mut other = envelope.clone();
        change(&mut other);
        assert_ne!(other, *envelope);
        neighbours.push(other);
    };
    add(&|other| other.id = EnvelopeId::from_bytes(flip(other.id.as_bytes())));
    add(&|other| {
        other.destination = match other.destination {
            Destination::Room(id) => Destination::Mailbox(DeviceId::from_bytes(*id.as_bytes())),
            Destination::Mailbox(id) => Destination::Room(RoomId::from_bytes(*id.as_bytes())),
        };
    });
    add(&|other| {
        let DeviceAddress { account_id, device_id } = other.sender;
        other.sender = DeviceAddress { account_id: AccountId::from_bytes(flip(account_id.as_bytes())), device_id };
    });
    add(&|other| other.recipient = if other.recipient.is_some() { None } else { Some(other.sender) });
    add(&|other| other.key_id = KeyId::from_bytes(flip(other.key_id.as_bytes())));
    add(&|other| other.epoch = if other.epoch.is_some() { None } else { Some(0) });
    add(&|other| other.epoch = Some(other.epoch.map_or(1, |epoch| epoch ^ 1)));
    add(&|other| other.nonce = Bytes(flip(other.nonce.as_array())));
    add(&|other| other.timestamp = Timestamp::from_millis(other.timestamp.as_millis() ^ 1));
    add(&|other| other.payload.0.push(0));
    add(&|other| other.payload = ByteString(other.payload.0.iter().skip(1).copied().chain([1, 2]).collect()));
    add(&|other| other.signature = other.signature.map_or(Some(Bytes([0; 64])), |_| None));
    neighbours
}

fn flip<const N: usize>(bytes: &[u8; N]) -> [u8; N] {
    let mut flipped = *bytes;
    flipped[N - 1] ^= 1;
    flipped
}

fn policies() -> impl Iterator<Item = RoomPolicy> {
    let custodies = [Custody::Client, Custody::Node].into_iter();
    custodies.flat_map(|custody| {
        [Protection::Ratchet, Protection::Mls].into_iter().flat_map(move |protection| {
            [Signatures::On, Signatures::Off].map(|signatures| RoomPolicy { custody, protection, signatures })
        })
    })
}

/// Envelopes that the fixed device has signed, or left unsigned; of every shape.
fn genuine() -> &'static [Envelope] {
    static GENUINE: OnceLock<Vec<Envelope>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let identity = &alice().identity;
        let bare = Envelope {
            id: EnvelopeId::from_bytes([1; 16]),
            destination: Destination::Room(ROOM),
            sender: identity.address(),
            recipient: None,
            key_id: signing_key_id(identity.device().signing_key()),
            epoch: None,
            nonce: Bytes([2; 12]),
            timestamp: START,
            payload: ByteString(b"sealed".to_vec()),
            signature: None,
        };
        let recipient = bob().identity.address();
        let mut envelopes = vec![
            bare.clone(),
            Envelope { recipient: Some(recipient), ..bare.clone() },
            Envelope {
                destination: Destination::Mailbox(recipient.device_id),
                recipient: Some(recipient),
                ..bare.clone()
            },
            Envelope { epoch: Some(7), payload: ByteString(Vec::new()), ..bare.clone() },
            Envelope { payload: ByteString(vec![9; 5_000]), ..bare.clone() },
        ];
        for envelope in &mut envelopes {
            envelope.signature = Some(identity.keys().signing.sign(&envelope_signed_bytes(envelope, POLICY)));
        }
        envelopes.push(bare);
        envelopes
    })
}
