//! What a thief gets: forward secrecy and healing, for sessions and for whole devices.

use conclave::protocol::machine::{MachineError, Repair};
use conclave::protocol::session::PairwiseSession;
use conclave::wire::Envelope;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::pair::{Pair, open, seal};
use crate::support::{Device, POLICY, two_devices};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// At any moment, the state of either side opens none of the messages that either side has read,
    /// and none that it has written; those that have not arrived it does open, or it could not do
    /// its work.
    #[test]
    fn a_stolen_session_opens_no_earlier_message(
        seed: u64,
        script in prop::collection::vec((any::<bool>(), any::<bool>(), any::<Index>()), 1..40),
    ) {
        let mut pair = Pair::new(seed);
        // To `b`, to `a`: each message, and whether it was read.
        let mut sent = [Vec::new(), Vec::new()];
        for (is_from_a, is_writing, which) in script {
            let direction = usize::from(!is_from_a);
            if is_writing {
                let message = if is_from_a { pair.a_writes(b"a secret") } else { pair.b_writes(b"a secret") };
                sent[direction].push((message, false));
            } else if !sent[direction].is_empty() {
                let which = which.index(sent[direction].len());
                let (message, is_read) = &mut sent[direction][which];
                let opened = if is_from_a { pair.b_reads(message) } else { pair.a_reads(message) };
                *is_read |= opened.is_ok();
            }
            for (session, to_it, from_it) in [(&pair.b, &sent[0], &sent[1]), (&pair.a, &sent[1], &sent[0])] {
                let stolen = session.save();
                for (message, is_read) in to_it {
                    let opened = open(&mut PairwiseSession::load(&stolen).unwrap(), message, pair.now);
                    prop_assert!(!is_read || opened.is_err());
                }
                for (message, _) in from_it {
                    open(&mut PairwiseSession::load(&stolen).unwrap(), message, pair.now).unwrap_err();
                }
            }
        }
    }
}

#[test]
fn a_stolen_session_opens_what_has_not_arrived_and_nothing_that_has() {
    let mut pair = Pair::new(200);
    let read = pair.a_writes(b"read");
    let late = pair.a_writes(b"late");
    let newest = pair.a_writes(b"newest");
    pair.b_reads(&read).unwrap();
    pair.b_reads(&newest).unwrap();
    let mut stolen = PairwiseSession::load(&pair.b.save()).unwrap();
    open(&mut stolen, &read, pair.now).unwrap_err();
    open(&mut stolen, &newest, pair.now).unwrap_err();
    assert_eq!(open(&mut stolen, &late, pair.now).unwrap(), b"late", "its key is kept, and can be stolen");
    pair.b_reads(&late).unwrap();
    open(&mut PairwiseSession::load(&pair.b.save()).unwrap(), &late, pair.now).unwrap_err();
}

#[test]
fn a_stolen_session_is_useless_after_one_round_trip() {
    for is_a_robbed in [true, false] {
        let mut pair = Pair::new(201);
        pair.answer();
        let stolen = if is_a_robbed { pair.a.save() } else { pair.b.save() };
        let thief = || PairwiseSession::load(&stolen).unwrap();
        // Before the round trip the thief reads along.
        let before = if is_a_robbed { pair.b_writes(b"before") } else { pair.a_writes(b"before") };
        assert_eq!(open(&mut thief(), &before, pair.now).unwrap(), b"before");

        if is_a_robbed { pair.a_reads(&before) } else { pair.b_reads(&before) }.unwrap();
        // `a` writes with a new key, `b` answers with a new key, `a` again: each has made a key since.
        let mut reader = thief();
        for round in 0..2 {
            let to_b = pair.a_writes(b"round trip");
            pair.b_reads(&to_b).unwrap();
            let to_a = pair.b_writes(b"round trip");
            pair.a_reads(&to_a).unwrap();
            if round == 1 {
                // A thief that has read along as far as it could has nothing either.
                for message in [&to_a, &to_b] {
                    open(&mut thief(), message, pair.now).unwrap_err();
                    open(&mut reader, message, pair.now).unwrap_err();
                }
            }
            drop(open(&mut reader, if is_a_robbed { &to_a } else { &to_b }, pair.now));
        }
    }
}

#[test]
fn a_thief_cannot_write_after_one_round_trip() {
    let mut pair = Pair::new(202);
    pair.answer();
    let stolen = pair.a.save();
    let mut thief = PairwiseSession::load(&stolen).unwrap();
    let forged = seal(&mut thief, b"forged", &mut pair.rng);
    let mut deceived = PairwiseSession::load(&pair.b.save()).unwrap();
    assert_eq!(open(&mut deceived, &forged, pair.now).unwrap(), b"forged", "at once, the thief is the device");

    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    pair.answer();
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    let forged = seal(&mut PairwiseSession::load(&stolen).unwrap(), b"forged", &mut pair.rng);
    pair.b_reads(&forged).unwrap_err();
}

/// Tries every envelope on a fresh copy of a stolen device, for which time stands still.
fn opened_by(thief: &Device, envelopes: &[Envelope]) -> Vec<Result<Vec<u8>, MachineError>> {
    envelopes.iter().map(|envelope| thief.copy(9).try_read(envelope, POLICY)).collect()
}

#[test]
fn a_stolen_device_opens_no_earlier_message() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(203);
    let (to_alice, to_bob) = ([alice.root.account_id()], [bob.root.account_id()]);
    let mut earlier = Vec::new();
    for round in 0..4_u8 {
        for _ in 0..=round {
            earlier.extend(a.write(&mut directory, &to_bob, &[round]));
        }
        for envelope in &earlier {
            drop(b.read(&directory, envelope));
        }
        let answer = b.write(&mut directory, &to_alice, &[round]);
        a.read(&directory, &answer[0]).unwrap();
        let thief = b.copy(8);
        for result in opened_by(&thief, &earlier) {
            result.unwrap_err();
        }
    }
}

#[test]
fn a_first_message_is_lost_to_a_thief_once_its_one_time_prekeys_are_used() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(204);
    let first = a.write(&mut directory, &[bob.root.account_id()], b"first");
    b.learn(&directory, a.address().account_id).unwrap();
    let mut early_thief = b.copy(8);
    assert_eq!(early_thief.read(&directory, &first[0]).unwrap(), b"first", "the prekeys are still there");

    b.read(&directory, &first[0]).unwrap();
    let mut thief = b.copy(9);
    assert_eq!(thief.try_read(&first[0], POLICY).unwrap_err().repair(), Repair::Nothing);
    // A thief is not bound to what the machine remembers: without session and memory the keys are gone.
    thief.records.retain(|key, _| {
        use conclave::protocol::machine::RecordKey;
        !matches!(key, RecordKey::Session(..) | RecordKey::UsedOpening(_))
    });
    thief.restart();
    let error = thief.try_read(&first[0], POLICY).unwrap_err();
    assert!(matches!(error, MachineError::PrekeyGone { .. }), "{error}");
}

#[test]
fn a_stolen_device_is_useless_after_one_round_trip() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(205);
    let (to_alice, to_bob) = ([alice.root.account_id()], [bob.root.account_id()]);
    let sent = a.write(&mut directory, &to_bob, b"first");
    b.read(&directory, &sent[0]).unwrap();
    let sent = b.write(&mut directory, &to_alice, b"answer");
    a.read(&directory, &sent[0]).unwrap();

    let thief = b.copy(8);
    let before = a.write(&mut directory, &to_bob, b"before");
    assert_eq!(thief.copy(9).try_read(&before[0], POLICY).unwrap(), b"before", "at once, the thief reads along");
    b.read(&directory, &before[0]).unwrap();
    let answer = b.write(&mut directory, &to_alice, b"answer");
    a.read(&directory, &answer[0]).unwrap();

    // The robbed device has made a new key that the thief does not know.
    let mut reader = thief.copy(10);
    reader.try_read(&before[0], POLICY).unwrap();
    let after = a.write(&mut directory, &to_bob, b"after");
    thief.copy(11).try_read(&after[0], POLICY).unwrap_err();
    reader.try_read(&after[0], POLICY).unwrap_err();
    assert_eq!(b.read(&directory, &after[0]).unwrap(), b"after");
}
