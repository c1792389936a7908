//! Saved state: golden files of version 1 still load and the conversation goes on, and what is
//! malformed is refused. And the sizes of what is saved and sent.
//!
//! A golden file of a released version is never written again: see `tests/snapshots/README.md`.

#![expect(clippy::disallowed_methods, reason = "golden files are read, and written where one is missing")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use conclave::protocol::identity::DeviceIdentity;
use conclave::protocol::machine::{Machine, MachineError, PrekeyKind, RecordKey};
use conclave::protocol::session::{PairwiseMessage, PairwiseSession};
use conclave::wire::{DeviceList, Envelope};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use crate::pair::{CONTEXT, Pair, Responder, identity};
use crate::support::{Account, Device, Directory, START, load, rng, two_devices};

/// Reads a golden file; writes it first if it is missing and `CONCLAVE_WRITE_VECTORS` is set.
fn golden(file: &str, make: impl FnOnce() -> Value) -> Value {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let path = format!("{}/tests/snapshots/{file}", env!("CARGO_MANIFEST_DIR"));
    let is_there = std::fs::metadata(&path).is_ok();
    if !is_there && std::env::var_os("CONCLAVE_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&make()).unwrap() + "\n").unwrap();
    }
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    HEXLOWER.encode(bytes.as_ref()).into()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// Each shortened form, one byte more, and each other version is refused. `versions` are the places of
/// version bytes.
fn assert_malformed_is_refused(saved: &[u8], versions: &[usize], is_refused: impl Fn(&[u8]) -> bool) {
    for length in 0..saved.len() {
        assert!(is_refused(&saved[..length]), "{length} bytes of {}", saved.len());
    }
    assert!(is_refused(&[saved, &[0]].concat()), "one byte more");
    for at in versions {
        for version in [0, 2, 255] {
            let mut other = saved.to_vec();
            other[*at] = version;
            assert!(is_refused(&other), "version {version} at {at}");
        }
    }
}

mod sessions {
    use super::*;

    const STATES: [&str; 6] = ["fresh", "unanswered", "not_answered_yet", "answered", "heard", "ping_pong"];

    fn file() -> Value {
        golden("session_v1.json", make)
    }

    fn make() -> Value {
        let mut rng = rng(500);
        let (initiator, responder) = (identity(&mut rng), Responder::new(&mut rng));
        let mut a = PairwiseSession::initiate(&initiator, &responder.bundle(), &mut rng).unwrap();
        let fresh = hex(&*a.save());
        let payloads = [(); 3].map(|()| hex(a.seal(b"before the answer", &CONTEXT, &mut rng).unwrap()));
        let first = PairwiseMessage::parse(&bytes(&payloads[0])).unwrap();
        let mut b = responder.respond(&initiator, &first).unwrap();
        b.open(&bytes(&payloads[0]), &CONTEXT, START).unwrap();
        b.open(&bytes(&payloads[2]), &CONTEXT, START).unwrap();
        let (unanswered, not_answered_yet) = (hex(&*a.save()), hex(&*b.save()));

        // Turns change; one message stays out on a closed chain and one on the open one.
        let answer = b.seal(b"answer", &CONTEXT, &mut rng).unwrap();
        a.open(&answer, &CONTEXT, START).unwrap();
        let late = a.seal(b"late", &CONTEXT, &mut rng).unwrap();
        let next = a.seal(b"next", &CONTEXT, &mut rng).unwrap();
        b.open(&next, &CONTEXT, START).unwrap();
        json!({
            "fresh": fresh, "unanswered": unanswered, "not_answered_yet": not_answered_yet,
            "late_before_the_answer": payloads[1], "late": hex(late),
            "answered": hex(&*b.save()), "heard": hex(&*a.save()), "ping_pong": hex(&*ping_pong(501).save()),
        })
    }

    /// A session with as many chains as it keeps, on its own turn: the longest form without late messages.
    fn ping_pong(seed: u64) -> PairwiseSession {
        let mut pair = Pair::new(seed);
        for _ in 0..10 {
            pair.answer();
            let message = pair.a_writes(b"and again");
            pair.b_reads(&message).unwrap();
        }
        pair.b_writes(b"our turn");
        pair.b
    }

    fn saved(file: &Value, state: &str) -> PairwiseSession {
        PairwiseSession::load(&bytes(&file[state])).unwrap()
    }

    fn send(from: &mut PairwiseSession, to: &mut PairwiseSession, text: &[u8]) {
        let payload = from.seal(text, &CONTEXT, &mut rng(502)).unwrap();
        assert_eq!(**to.open(&payload, &CONTEXT, START).unwrap(), *text);
    }

    #[test]
    fn a_saved_session_loads_and_saves_to_the_same_bytes() {
        let file = file();
        for state in STATES {
            assert_eq!(*saved(&file, state).save(), bytes(&file[state]), "{state}");
        }
    }

    #[test]
    fn an_answered_session_goes_on() {
        let file = file();
        let (mut a, mut b) = (saved(&file, "heard"), saved(&file, "answered"));
        assert!(a.is_answered() && b.is_answered());
        assert_eq!(b.ratchet().skipped_keys(), 2);
        assert_eq!(**b.open(&bytes(&file["late"]), &CONTEXT, START).unwrap(), *b"late");
        send(&mut a, &mut b, b"on the same chain");
        send(&mut b, &mut a, b"on a new one");
        send(&mut a, &mut b, b"and back");
        let late = bytes(&file["late_before_the_answer"]);
        assert_eq!(**b.open(&late, &CONTEXT, START).unwrap(), *b"before the answer");
        assert!(b.open(&late, &CONTEXT, START).is_err(), "each opens once");
        assert_eq!(b.ratchet().skipped_keys(), 0);
    }

    #[test]
    fn an_unanswered_session_goes_on() {
        let file = file();
        let (mut a, mut b) = (saved(&file, "unanswered"), saved(&file, "not_answered_yet"));
        assert!(!a.is_answered());
        send(&mut a, &mut b, b"still with the opening");
        send(&mut b, &mut a, b"the answer");
        assert!(a.is_answered());
        send(&mut a, &mut b, b"without it");
    }

    #[test]
    fn a_session_that_has_sent_nothing_makes_the_same_one_elsewhere() {
        let file = file();
        let (mut fresh, mut rng) = (saved(&file, "fresh"), rng(503));
        let payload = fresh.seal(b"first", &CONTEXT, &mut rng).unwrap();
        let opening = PairwiseMessage::parse(&payload).unwrap().opening.unwrap();
        assert_eq!(opening.id(), saved(&file, "answered").id());
    }

    #[test]
    fn a_malformed_session_is_refused() {
        let file = file();
        for state in STATES {
            assert_malformed_is_refused(&bytes(&file[state]), &[0], |saved| PairwiseSession::load(saved).is_err());
        }
    }

    /// One value has one form: what loads after a change is what the changed bytes say. And it can be
    /// worked with: nothing panics.
    #[test]
    fn an_altered_session_is_refused_or_is_another_session() {
        let file = file();
        let late = bytes(&file["late"]);
        for state in STATES {
            let saved = bytes(&file[state]);
            let mut loaded = 0;
            for (at, change) in (0..saved.len()).flat_map(|at| [(at, 1), (at, 0x80), (at, 0xff)]) {
                let mut altered = saved.clone();
                altered[at] ^= change;
                if let Ok(mut session) = PairwiseSession::load(&altered) {
                    assert_eq!(*session.save(), altered, "{state}, byte {at}");
                    let _ = session.open(&late, &CONTEXT, START);
                    let _ = session.seal(b"on we go", &CONTEXT, &mut rng(504));
                    loaded += 1;
                }
            }
            assert!((1..3 * saved.len()).contains(&loaded), "{state}: some changes are refused and some are not");
        }
    }

    #[test]
    fn a_saved_session_with_nothing_skipped_is_under_1024_bytes() {
        for seed in 505..510 {
            let session = ping_pong(seed);
            assert_eq!(session.ratchet().skipped_keys(), 0);
            assert!(session.save().len() < 1024, "{} bytes", session.save().len());
        }
    }

    #[test]
    fn at_most_110_bytes_are_added_to_a_padded_message() {
        let mut pair = Pair::new(510);
        pair.answer();
        for length in [0, 1, 255, 256, 1_000, 16_384, 40_000, 61_439] {
            let payload = pair.a.seal(&vec![7; length], &CONTEXT, &mut pair.rng).unwrap();
            let padded = (length + 1).next_power_of_two().clamp(256, 60 * 1024);
            assert!(payload.len() > padded && payload.len() - padded <= 110, "{length}: {} bytes", payload.len());
        }
    }
}

mod identities {
    use super::*;

    fn saved() -> Vec<u8> {
        let make = || json!({ "identity": hex(&*identity(&mut rng(520)).save()) });
        bytes(&golden("identity_v1.json", make)["identity"])
    }

    #[test]
    fn a_saved_identity_loads_and_saves_to_the_same_bytes() {
        let identity = DeviceIdentity::load(&saved()).unwrap();
        assert_eq!(*identity.save(), saved());
        let signature = identity.keys().signing.sign(b"signed");
        assert!(identity.device().signing_key().has_signed(b"signed", &signature));
    }

    #[test]
    fn a_malformed_identity_is_refused() {
        assert_malformed_is_refused(&saved(), &[0], |saved| DeviceIdentity::load(saved).is_err());
    }

    /// All but the bits of the X25519 secret that clamping sets: each other bit is in a key, or signed.
    #[test]
    fn an_altered_identity_is_refused() {
        let saved = saved();
        let is_clamped = |bit: usize| matches!(bit / 8, 33 if bit % 8 < 3) || matches!(bit / 8, 64 if bit % 8 >= 6);
        for bit in (0..8 * saved.len()).filter(|bit| !is_clamped(*bit)) {
            let mut altered = saved.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(DeviceIdentity::load(&altered).is_err(), "bit {bit}");
        }
    }
}

mod machines {
    use super::*;

    struct World {
        alice: Device,
        bob: Device,
        directory: Directory,
        file: Value,
    }

    fn world() -> World {
        let file = golden("machine_v1.json", make);
        let mut directory = Directory::default();
        for list in ["alice_list", "bob_list", "carol_list"] {
            let list: DeviceList = serde_json::from_value(file[list].clone()).unwrap();
            directory.lists.insert(list.account_id, list);
        }
        World { alice: device(&file["alice"], 530), bob: device(&file["bob"], 531), directory, file }
    }

    fn device(records: &Value, seed: u64) -> Device {
        let records: BTreeMap<RecordKey, Vec<u8>> =
            records.as_object().unwrap().iter().map(|(key, value)| (key.parse().unwrap(), bytes(value))).collect();
        Device { machine: load(&records).unwrap(), records, rng: rng(seed), now: START }
    }

    fn envelope(value: &Value) -> Envelope {
        serde_json::from_value(value.clone()).unwrap()
    }

    /// Bob knows Alice, and awaits a message of hers; Carol, of whom a first message waits unread; and
    /// Dave, who shows a new identity.
    fn make() -> Value {
        let (mut directory, alice, mut a, bob, mut b) = two_devices(540);
        let (alice_id, bob_id) = (alice.root.account_id(), bob.root.account_id());
        let sent: Vec<Envelope> = [&b"first"[..], b"late", b"third"]
            .into_iter()
            .flat_map(|text| a.write(&mut directory, &[bob_id], text))
            .collect();
        b.read(&directory, &sent[0]).unwrap();
        b.read(&directory, &sent[2]).unwrap();
        let answer = b.write(&mut directory, &[alice_id], b"answer");
        a.read(&directory, &answer[0]).unwrap();

        let mut carol = Account::new(&mut rng(541));
        let mut c = carol.add_device(&mut directory, 542);
        let unread = c.write(&mut directory, &[bob_id], b"from Carol").remove(0);
        let mut dave = Account::new(&mut rng(543));
        dave.add_device(&mut directory, 544);
        b.learn(&directory, dave.root.account_id()).unwrap();
        dave.root = conclave::protocol::identity::AccountRoot::generate(dave.root.account_id(), &mut rng(545));
        dave.certificates.clear();
        dave.add_device(&mut directory, 546);
        b.learn(&directory, dave.root.account_id()).unwrap();

        let opening = PairwiseMessage::parse(&unread.payload.0).unwrap().opening.unwrap();
        let keep = [
            RecordKey::Prekey(PrekeyKind::OneTime, opening.one_time_prekey_id.unwrap()),
            RecordKey::Prekey(PrekeyKind::OneTimeKem, opening.kem_prekey_id),
        ];
        json!({
            "alice": records(&a, &[]), "bob": records(&b, &keep),
            "alice_list": directory.lists[&alice_id], "bob_list": directory.lists[&bob_id],
            "carol_list": directory.lists[&carol.root.account_id()],
            "dave": dave.root.account_id(),
            "first": sent[0], "late": sent[1], "unread": unread,
        })
    }

    /// The records by name; of the many one-time prekeys those in `keep` and one more of each kind.
    fn records(device: &Device, keep: &[RecordKey]) -> Value {
        let is_one_time = |key: &RecordKey| key.to_string().starts_with("one-time");
        let mut kept: BTreeMap<&RecordKey, &Vec<u8>> =
            device.records.iter().filter(|(key, _)| !is_one_time(key) || keep.contains(key)).collect();
        for kind in ["one-time-prekey/", "one-time-kem-prekey/"] {
            let mut more = device.records.iter().filter(|(key, _)| key.to_string().starts_with(kind));
            kept.extend(more.find(|(key, _)| !keep.contains(key)));
        }
        Value::Object(kept.into_iter().map(|(key, value)| (key.to_string(), hex(value))).collect::<Map<_, _>>())
    }

    #[test]
    fn a_saved_machine_loads_and_saves_to_the_same_bytes() {
        let World { alice, bob, .. } = world();
        assert_eq!(alice.held(), alice.records);
        assert_eq!(bob.held(), bob.records);
    }

    #[test]
    fn every_kind_of_record_is_in_the_golden_file() {
        let World { bob, .. } = world();
        let kinds: Vec<u8> = bob
            .records
            .keys()
            .map(|key| match key {
                RecordKey::Identity => 0,
                RecordKey::Prekey(PrekeyKind::Signed, _) => 1,
                RecordKey::Prekey(PrekeyKind::LastResortKem, _) => 2,
                RecordKey::Prekey(PrekeyKind::OneTime, _) => 3,
                RecordKey::Prekey(PrekeyKind::OneTimeKem, _) => 4,
                RecordKey::UsedOpening(_) => 5,
                RecordKey::Contact(_) => 6,
                RecordKey::Session(..) => 7,
            })
            .collect();
        assert!((0..8).all(|kind| kinds.contains(&kind)), "{kinds:?}");
    }

    #[test]
    fn a_saved_machine_goes_on() {
        let World { mut alice, mut bob, mut directory, file } = world();
        let (alice_id, bob_id) = (alice.address().account_id, bob.address().account_id);
        assert_eq!(bob.read(&directory, &envelope(&file["late"])).unwrap(), b"late");
        let next = alice.write(&mut directory, &[bob_id], b"next");
        assert_eq!(bob.read(&directory, &next[0]).unwrap(), b"next");
        let answer = bob.write(&mut directory, &[alice_id], b"yes");
        assert_eq!(alice.read(&directory, &answer[0]).unwrap(), b"yes");
        let dave = file["dave"].as_str().unwrap().parse().unwrap();
        assert!(bob.machine.identity_change(dave).is_some(), "the new identity still waits");
    }

    #[test]
    fn saved_prekeys_open_a_first_message_once() {
        let World { mut bob, directory, file, .. } = world();
        let unread = envelope(&file["unread"]);
        assert_eq!(bob.read(&directory, &unread).unwrap(), b"from Carol");
        bob.records.retain(|key, _| !matches!(key, RecordKey::Session(..)));
        bob.restart();
        assert_eq!(bob.read(&directory, &unread), Err(MachineError::OpeningReplayed));
        assert_eq!(bob.read(&directory, &envelope(&file["first"])), Err(MachineError::OpeningReplayed));
    }

    #[test]
    fn a_malformed_record_is_refused() {
        let World { bob, .. } = world();
        let identity = &bob.records[&RecordKey::Identity];
        for (key, saved) in &bob.records {
            // A session's record has the machine's version and then the session's, behind rank and time.
            let versions: &[usize] = if matches!(key, RecordKey::Session(..)) { &[0, 17] } else { &[0] };
            assert_malformed_is_refused(saved, versions, |saved| match key {
                RecordKey::Identity => Machine::load([(*key, saved)]).is_err(),
                _ => Machine::load([(RecordKey::Identity, identity.as_slice()), (*key, saved)]).is_err(),
            });
        }
    }
}
