//! Saved state: what a device's store gives back, whole or damaged.
//!
//! Input: kind 1 (0 session, 1 identity, 2 machine), then
//! - session: length `u16`, that many bytes of a saved session, a payload to open on it;
//! - identity: a saved identity;
//! - machine: records, each the length of its name `u8`, name, length of its value `u16`, value.
//!
//! - Loading never panics. What loads is saved as the same bytes.
//! - What loads serves: it seals, opens and refuses without a panic, a refusal changes nothing, and
//!   what it saves then loads again.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use conclave::protocol::identity::DeviceIdentity;
use conclave::protocol::machine::{Encrypt, Input, Place, PrekeyKind, RecordKey};
use conclave::protocol::session::PairwiseSession;
use conclave::wire::{Reader, Timestamp};

use super::Seed;
use super::machines::{MidConversation, mid_conversation};
use super::parties::{CONTEXT, alice, bob};
use super::support::{Device, POLICY, ROOM, START, load, rng};

/// Runs one input.
pub fn run(data: &[u8]) {
    match data {
        [0, input @ ..] => drop(check_session(input)),
        [1, saved @ ..] => check_identity(saved),
        [2, records @ ..] => drop(check_machine(records)),
        _ => {}
    }
}

/// States of every shape: sessions at each turn, identities, the records of a machine.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = session_seeds();
    let saved = bob().identity.save();
    seeds.push(("identity".to_owned(), [&[1], &saved[..]].concat()));
    let records = &conversation().records;
    seeds.push(("machine".to_owned(), machine_input(records.iter())));
    for kind in ["identity", "signed-prekey", "last-resort", "one-time-prekey", "one-time-kem", "contact", "session"] {
        let is_kind = |key: &RecordKey| key.to_string().starts_with(kind);
        seeds.push((format!("machine-{kind}"), machine_input(records.iter().filter(|(key, _)| is_kind(key)))));
    }
    seeds
}

fn check_session(input: &[u8]) -> Option<()> {
    let mut reader = Reader::new(input);
    let length = u16::from_be_bytes(*reader.array().ok()?);
    let saved = reader.bytes(length.into()).ok()?;
    let mut session = PairwiseSession::load(saved).ok()?;
    assert_eq!(*session.save(), saved, "a loaded session is not saved as it was");
    let _ = format!("{session:?}");

    if session.open(reader.rest(), &CONTEXT, START).is_err() {
        assert_eq!(*session.save(), saved, "a refused message changes the session");
    }
    let before = session.save();
    match session.seal(b"a message", &CONTEXT, &mut rng(1)) {
        Ok(payload) => {
            assert!(PairwiseSession::load(&before).unwrap().seal(b"a message", &CONTEXT, &mut rng(1)) == Ok(payload));
        }
        Err(_) => assert_eq!(session.save(), before),
    }
    session.expire(Timestamp::from_millis(u64::MAX));
    session.trim(1);
    assert!(session.ratchet().skipped_keys() <= 1);
    let after = session.save();
    assert_eq!(PairwiseSession::load(&after).unwrap().save(), after);
    Some(())
}

fn check_identity(saved: &[u8]) {
    let Ok(identity) = DeviceIdentity::load(saved) else { return };
    assert_eq!(*identity.save(), saved, "a loaded identity is not saved as it was");
    let signature = identity.keys().signing.sign(b"a message");
    assert!(identity.device().signing_key().has_signed(b"a message", &signature));
}

fn check_machine(input: &[u8]) -> Option<()> {
    let conversation = conversation();
    let mut records = read_records(input)?;
    records.entry(RecordKey::Identity).or_insert_with(|| conversation.records[&RecordKey::Identity].clone());
    let mut device = Device { machine: load(&records).ok()?, records, rng: rng(2), now: START };
    assert_eq!(device.held(), device.records, "a loaded machine is not saved as it was");
    let _ = format!("{:?}", device.machine);

    let accounts = [conversation.alice_list.account_id];
    let place = Place::Room(ROOM);
    let encrypt = Encrypt { accounts: &accounts, except: &[], place, policy: POLICY, plaintext: b"hello" };
    let mut inputs = vec![Input::DeviceList(&conversation.alice_list), Input::Encrypt(encrypt)];
    inputs.extend(conversation.envelopes.iter().map(|envelope| Input::Open { envelope, policy: POLICY }));
    inputs.extend([Input::Bundle(&conversation.alice_bundle), Input::Encrypt(encrypt)]);
    // Without a signed prekey a machine makes a whole supply: too slow to do here again and again.
    if device.records.keys().any(|key| matches!(key, RecordKey::Prekey(PrekeyKind::Signed, _))) {
        inputs.push(Input::Maintain);
    }
    for input in inputs {
        let before = device.held();
        let result = device.handle(input);
        let after = device.held();
        assert!(result.is_ok() || after == before, "a refused input changes the machine");
        assert!(after == device.records, "the machine holds other than it has said to save");
    }
    device.restart();
    assert!(device.held() == device.records, "the loaded machine holds other than was saved");
    Some(())
}

fn read_records(input: &[u8]) -> Option<BTreeMap<RecordKey, Vec<u8>>> {
    let mut reader = Reader::new(input);
    let mut records = BTreeMap::new();
    while let Ok(length) = reader.u8() {
        let name = core::str::from_utf8(reader.bytes(length.into()).ok()?).ok()?;
        let key: RecordKey = name.parse().ok()?;
        assert_eq!(key.to_string(), name, "a record has two names");
        let length = u16::from_be_bytes(*reader.array().ok()?);
        records.insert(key, reader.bytes(length.into()).ok()?.to_vec());
    }
    Some(records)
}

fn machine_input<'a>(records: impl Iterator<Item = (&'a RecordKey, &'a Vec<u8>)>) -> Vec<u8> {
    let mut input = vec![2];
    for (key, value) in records {
        let name = key.to_string();
        input.push(u8::try_from(name.len()).unwrap());
        input.extend_from_slice(name.as_bytes());
        input.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        input.extend_from_slice(value);
    }
    input
}

fn conversation() -> &'static MidConversation {
    static CONVERSATION: OnceLock<MidConversation> = OnceLock::new();
    CONVERSATION.get_or_init(mid_conversation)
}

fn session_seeds() -> Vec<Seed> {
    let rng = &mut rng(4);
    let mut seeds = Vec::new();
    let mut add = |name: &str, session: &PairwiseSession, payload: &[u8]| {
        let saved = session.save();
        let length = u16::try_from(saved.len()).unwrap().to_be_bytes();
        seeds.push((format!("session-{name}"), [&[0], &length[..], &saved, payload].concat()));
    };
    let mut a = PairwiseSession::initiate(&alice().identity, &bob().verified_bundle(), rng).unwrap();
    add("new", &a, &[]);
    let first = a.seal(b"first", &CONTEXT, rng).unwrap();
    let message = conclave::protocol::session::PairwiseMessage::parse(&first).unwrap();
    let opening = message.opening.unwrap();
    let prekeys = bob().prekeys_for(opening.one_time_prekey_id);
    let initiator = alice().identity.device();
    let mut b = PairwiseSession::respond(&bob().identity, initiator, &opening, &message.sealed, &prekeys).unwrap();
    add("responder", &b, &first);
    b.open(&first, &CONTEXT, START).unwrap();
    let answer = b.seal(b"answer", &CONTEXT, rng).unwrap();
    add("unanswered", &a, &answer);
    a.open(&answer, &CONTEXT, START).unwrap();
    for round in 0..6 {
        let late = [(); 3].map(|()| a.seal(b"late", &CONTEXT, rng).unwrap());
        let newest = a.seal(b"newest", &CONTEXT, rng).unwrap();
        add(&format!("round-{round}"), &b, &newest);
        b.open(&newest, &CONTEXT, START).unwrap();
        add(&format!("late-{round}"), &b, &late[1]);
        let answer = b.seal(b"answer", &CONTEXT, rng).unwrap();
        a.open(&answer, &CONTEXT, START).unwrap();
    }
    seeds
}
