//! What a thief gets: forward secrecy and healing, for sessions and for whole devices.

use std::time::Duration;

use conclave::protocol::machine::{MachineError, RecordKey, Repair};
use conclave::protocol::public::limits::{SIGNED_PREKEY_KEPT, SIGNED_PREKEY_ROTATION};
use conclave::protocol::session::PairwiseSession;
use conclave::wire::Envelope;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::pair::{Pair, open, seal};
use crate::support::{Device, POLICY, START, two_devices};

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

/// A thief of all records that is not bound to what the machine remembers: it keeps the device's keys,
/// and forgets its sessions and which openings were used.
fn thief_of_keys(device: &Device) -> Device {
    let mut thief = device.copy(7);
    thief.records.retain(|key, _| !matches!(key, RecordKey::Session(..) | RecordKey::UsedOpening(_)));
    thief.restart();
    thief
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
    let error = thief_of_keys(&b).try_read(&first[0], POLICY).unwrap_err();
    assert!(matches!(error, MachineError::PrekeyGone { .. }), "{error}");
}

/// Each one-time prekey enters the session's secret, so that one of either kind is enough.
#[test]
fn an_opening_with_one_one_time_prekey_is_lost_to_a_thief_too() {
    for keeps_kem in [false, true] {
        let (mut directory, _, mut a, bob, mut b) = two_devices(206);
        let stock = directory.prekeys.get_mut(&b.address()).unwrap();
        if keeps_kem {
            stock.one_time.clear();
        } else {
            stock.one_time_kem.clear();
        }
        let first = a.write(&mut directory, &[bob.root.account_id()], b"first").remove(0);
        b.learn(&directory, a.address().account_id).unwrap();
        assert_eq!(thief_of_keys(&b).try_read(&first, POLICY).unwrap(), b"first", "the prekey is still there");

        b.read(&directory, &first).unwrap();
        let error = thief_of_keys(&b).try_read(&first, POLICY).unwrap_err();
        assert!(matches!(error, MachineError::PrekeyGone { .. }), "{error}");
    }
}

/// A limit of the protocol (X3DH and PQXDH, section 4.6): when the node has no one-time prekey
/// left, or says so, only signed prekeys protect what is written until the first answer, and their
/// secrets lie among the device's records until they are forgotten.
#[test]
fn an_opening_without_one_time_prekeys_is_a_thiefs_until_the_signed_prekey_is_gone() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(207);
    let stock = directory.prekeys.get_mut(&b.address()).unwrap();
    stock.one_time.clear();
    stock.one_time_kem.clear();
    let (to_alice, to_bob) = ([alice.root.account_id()], [bob.root.account_id()]);
    let unanswered: Vec<_> = (0..3).flat_map(|number| a.write(&mut directory, &to_bob, &[number])).collect();
    for envelope in &unanswered {
        b.read(&directory, envelope).unwrap();
    }
    let answer = b.write(&mut directory, &to_alice, b"answer").remove(0);
    a.read(&directory, &answer).unwrap();
    let answered = a.write(&mut directory, &to_bob, b"answered").remove(0);
    b.read(&directory, &answered).unwrap();

    // The session's state opens none of it.
    for result in opened_by(&b.copy(8), &unanswered) {
        result.unwrap_err();
    }
    let all = vec![Ok(vec![0]), Ok(vec![1]), Ok(vec![2])];
    assert_eq!(opened_by(&thief_of_keys(&b), &unanswered), all);
    // What followed the answer needs a ratchet key that is in no record any more.
    let mut reader = thief_of_keys(&b);
    for envelope in &unanswered {
        reader.try_read(envelope, POLICY).unwrap();
    }
    reader.try_read(&answered, POLICY).unwrap_err();

    // The prekey is succeeded on time, and kept for as long as somebody may have used it.
    for age in [SIGNED_PREKEY_ROTATION, SIGNED_PREKEY_KEPT] {
        b.now = START.plus(age);
        b.maintain(&mut directory);
    }
    assert_eq!(opened_by(&thief_of_keys(&b), &unanswered), all, "a first message may still be under way");
    b.now = b.now.plus(Duration::from_millis(1));
    b.maintain(&mut directory);
    for result in opened_by(&thief_of_keys(&b), &unanswered) {
        let error = result.unwrap_err();
        assert!(matches!(error, MachineError::PrekeyGone { .. }), "{error}");
    }
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
