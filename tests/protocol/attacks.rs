//! What a node, a thief or a wrong clock tries, one attempt a test.

use core::time::Duration;
use std::collections::BTreeSet;

use conclave::ids::OpeningId;
use conclave::protocol::machine::{Input, MachineError, Place, PrekeyKind, RecordKey, Repair};
use conclave::protocol::public::{VerifyError, limits};
use conclave::protocol::ratchet::RatchetError;
use conclave::protocol::session::SessionError;
use conclave::wire::{Envelope, RoomPolicy, Signatures, Timestamp};

use crate::support::{Account, Device, Directory, POLICY, START, rng, two_devices};

/// Two devices of which each has read the other.
fn acquainted(seed: u64) -> (Directory, Account, Device, Account, Device) {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(seed);
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"hello");
    b.read(&directory, &sent[0]).unwrap();
    let answer = b.write(&mut directory, &[alice.root.account_id()], b"hello");
    a.read(&directory, &answer[0]).unwrap();
    (directory, alice, a, bob, b)
}

#[test]
fn a_device_certified_anew_is_not_written_to_with_its_old_keys() {
    let (mut directory, alice, mut a, mut bob, mut b) = acquainted(700);
    bob.certify_anew(&mut directory, &b, 701);
    assert_eq!(a.machine.session_count(b.address()), 1);
    a.learn(&directory, bob.root.account_id()).unwrap();
    assert_eq!(a.machine.session_count(b.address()), 0);

    let late = b.write(&mut directory, &[alice.root.account_id()], b"still me");
    assert_eq!(a.try_read(&late[0], POLICY), Err(MachineError::UnknownDevice { device: b.address() }));
}

fn session_ids(device: &Device) -> BTreeSet<OpeningId> {
    let id = |key: &RecordKey| if let RecordKey::Session(_, id) = key { Some(*id) } else { None };
    device.records.keys().filter_map(id).collect()
}

/// The session that a message is sent on: the one whose record changes.
fn session_written_on(device: &mut Device, directory: &mut Directory, to: &Account) -> OpeningId {
    let before = device.records.clone();
    device.write(directory, &[to.root.account_id()], b"where does this go?");
    let changed = session_ids(device).into_iter().find(|id| {
        device.records.iter().any(|(key, value)| {
            matches!(key, RecordKey::Session(_, other) if other == id) && before.get(key) != Some(value)
        })
    });
    changed.unwrap()
}

#[test]
fn a_message_that_was_held_back_does_not_bring_an_old_session_back_into_use() {
    let (mut directory, alice, mut a, bob, mut b) = acquainted(702);
    let first = a.write(&mut directory, &[bob.root.account_id()], b"on the old session");
    let held_back = a.write(&mut directory, &[bob.root.account_id()], b"held back");
    b.read(&directory, &first[0]).unwrap();
    let old = session_written_on(&mut b, &mut directory, &alice);

    let bundle = directory.claim(b.address());
    a.handle(Input::Bundle(&bundle)).unwrap();
    let opening = a.write(&mut directory, &[bob.root.account_id()], b"on a new one");
    b.read(&directory, &opening[0]).unwrap();
    let new = session_written_on(&mut b, &mut directory, &alice);
    assert_ne!(new, old);

    assert_eq!(b.read(&directory, &held_back[0]).unwrap(), b"held back");
    assert_eq!(session_written_on(&mut b, &mut directory, &alice), new);
}

/// Time passes for both.
fn pass(a: &mut Device, b: &mut Device, seconds: u64) {
    for device in [a, b] {
        device.now = device.now.plus(Duration::from_secs(seconds));
    }
}

/// Each writes to the other and is read, `rounds` times.
fn round_trips(directory: &mut Directory, a: &mut Device, b: &mut Device, rounds: usize) {
    let accounts = [a.address().account_id, b.address().account_id];
    for _ in 0..rounds {
        pass(a, b, 1);
        let to_b = a.write(directory, &accounts[1..], b"there");
        b.read(directory, &to_b[0]).unwrap();
        pass(a, b, 1);
        let to_a = b.write(directory, &accounts[..1], b"and back");
        a.read(directory, &to_a[0]).unwrap();
    }
}

/// After a theft `a` starts a new session, and some round trips later the node delivers what it held
/// back. What `b` then writes the thief cannot read.
fn assert_is_not_brought_back(seed: u64, held_back: impl FnOnce(&mut Directory, &mut Device, &mut Device) -> Envelope) {
    let (mut directory, alice, mut a, _, mut b) = acquainted(seed);
    pass(&mut a, &mut b, 1);
    let held_back = held_back(&mut directory, &mut a, &mut b);
    let mut thief = a.copy(seed + 1);
    pass(&mut a, &mut b, 1);
    let bundle = directory.claim(b.address());
    a.handle(Input::Bundle(&bundle)).unwrap();
    round_trips(&mut directory, &mut a, &mut b, 3);
    let healed = b.session_in_use(a.address());

    assert_eq!(b.read(&directory, &held_back).unwrap(), b"held back");
    assert_eq!(b.session_in_use(a.address()), healed);
    assert_eq!(b.held(), b.records);
    let after = b.write(&mut directory, &[alice.root.account_id()], b"after");
    thief.read(&directory, &after[0]).unwrap_err();
    assert_eq!(a.read(&directory, &after[0]).unwrap(), b"after");
}

#[test]
fn a_message_held_back_on_a_chain_that_is_known_brings_no_session_back() {
    assert_is_not_brought_back(720, |directory, a, b| {
        let account = [b.address().account_id];
        let first = a.write(directory, &account, b"read in time");
        let held_back = a.write(directory, &account, b"held back").remove(0);
        b.read(directory, &first[0]).unwrap();
        held_back
    });
}

#[test]
fn the_first_message_of_a_chain_held_back_brings_no_session_back() {
    assert_is_not_brought_back(722, |directory, a, b| {
        a.write(directory, &[b.address().account_id], b"held back").remove(0)
    });
}

#[test]
fn a_first_message_held_back_does_not_take_its_session_into_use() {
    assert_is_not_brought_back(724, |directory, a, b| {
        let bundle = directory.claim(b.address());
        a.handle(Input::Bundle(&bundle)).unwrap();
        a.write(directory, &[b.address().account_id], b"held back").remove(0)
    });
}

#[test]
fn two_sides_come_together_though_their_clocks_are_an_hour_apart() {
    for (ahead_a, ahead_b) in [(3_600, 0), (0, 3_600)] {
        let (mut directory, alice, mut a, bob, mut b) = two_devices(726);
        let (to_alice, to_bob) = ([alice.root.account_id()], [bob.root.account_id()]);
        (a.now, b.now) = (START.plus(Duration::from_secs(ahead_a)), START.plus(Duration::from_secs(ahead_b)));
        let assert_together = |a: &Device, b: &Device| {
            assert_eq!(a.session_in_use(b.address()), b.session_in_use(a.address()));
        };
        // Both start at once.
        let from_a = a.write(&mut directory, &to_bob, b"from a");
        let from_b = b.write(&mut directory, &to_alice, b"from b");
        pass(&mut a, &mut b, 1);
        b.read(&directory, &from_a[0]).unwrap();
        a.read(&directory, &from_b[0]).unwrap();
        round_trips(&mut directory, &mut a, &mut b, 1);
        assert_together(&a, &b);

        // Either starts anew, also after it has lost its sessions.
        for is_lost in [false, true] {
            for turn in 0..2 {
                let (starter, other) = if turn == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
                pass(starter, other, 1);
                if is_lost {
                    starter.records.retain(|key, _| !matches!(key, RecordKey::Session(..)));
                    starter.restart();
                }
                let bundle = directory.claim(other.address());
                starter.handle(Input::Bundle(&bundle)).unwrap();
                let anew = starter.write(&mut directory, &[other.address().account_id], b"anew");
                other.read(&directory, &anew[0]).unwrap();
                assert_together(starter, other);
                round_trips(&mut directory, starter, other, 1);
                assert_together(starter, other);
            }
        }
    }
}

#[test]
fn a_time_that_the_node_has_put_far_ahead_keeps_no_session_out_of_use() {
    let policy = RoomPolicy { signatures: Signatures::Off, ..POLICY };
    let (mut directory, alice, mut a, bob, mut b) = acquainted(728);
    let to_bob = [bob.root.account_id()];
    let write = |a: &mut Device, directory: &mut Directory| {
        a.try_write(directory, &to_bob, Place::Direct, policy, b"unsigned").unwrap().remove(0)
    };
    let mut dated_ahead = write(&mut a, &mut directory);
    dated_ahead.timestamp = Timestamp::from_millis(u64::MAX);
    b.try_read(&dated_ahead, policy).unwrap();

    pass(&mut a, &mut b, 1);
    let bundle = directory.claim(b.address());
    a.handle(Input::Bundle(&bundle)).unwrap();
    let anew = write(&mut a, &mut directory);
    b.try_read(&anew, policy).unwrap();
    assert_eq!(b.session_in_use(a.address()), a.session_in_use(b.address()));
    drop(alice);
}

#[test]
fn a_session_started_under_a_wrong_clock_keeps_no_other_out_of_use() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(731);
    a.now = START.plus(YEAR);
    a.write(&mut directory, &[bob.root.account_id()], b"lost");
    a.now = START;
    let from_b = b.write(&mut directory, &[alice.root.account_id()], b"from b");
    a.read(&directory, &from_b[0]).unwrap();
    assert_eq!(a.session_in_use(b.address()), b.session_in_use(a.address()));
}

#[test]
fn a_session_out_of_use_is_forgotten_when_the_peer_has_long_left_it() {
    let (mut directory, _, mut a, bob, mut b) = acquainted(703);
    let bundle = directory.claim(b.address());
    a.handle(Input::Bundle(&bundle)).unwrap();
    let opening = a.write(&mut directory, &[bob.root.account_id()], b"anew");
    b.read(&directory, &opening[0]).unwrap();
    for (age, kept) in [(limits::SESSION_UNUSED_KEPT, 2), (limits::SESSION_UNUSED_KEPT + MILLISECOND, 1)] {
        (a.now, b.now) = (START.plus(age), START.plus(age));
        let again = a.write(&mut directory, &[bob.root.account_id()], b"still here");
        b.read(&directory, &again[0]).unwrap();
        b.maintain(&mut directory);
        assert_eq!((session_ids(&b).len(), b.machine.session_count(a.address())), (kept, kept));
        assert_eq!(b.held(), b.records);
    }
}

#[test]
fn silence_and_a_wrong_clock_forget_no_session() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(714);
    let (to_alice, to_bob) = ([alice.root.account_id()], [bob.root.account_id()]);
    let from_a = a.write(&mut directory, &to_bob, b"from a");
    let from_b = b.write(&mut directory, &to_alice, b"from b");
    b.read(&directory, &from_a[0]).unwrap();
    a.read(&directory, &from_b[0]).unwrap();
    // Each is now on the session that the other has started.
    assert_ne!(a.session_in_use(b.address()), b.session_in_use(a.address()));

    for device in [&mut a, &mut b] {
        for now in [START.plus(5 * YEAR), START.plus(limits::SESSION_UNUSED_KEPT + MILLISECOND)] {
            device.now = now;
            device.handle(Input::Maintain).unwrap();
        }
    }
    let from_a = a.write(&mut directory, &to_bob, b"after a week");
    assert_eq!(b.read(&directory, &from_a[0]).unwrap(), b"after a week");
    let from_b = b.write(&mut directory, &to_alice, b"good to hear you");
    assert_eq!(a.read(&directory, &from_b[0]).unwrap(), b"good to hear you");
    assert_eq!(a.session_in_use(b.address()), b.session_in_use(a.address()));
    assert_eq!((a.held(), b.held()), (a.records, b.records));
}

#[test]
fn starting_a_session_forgets_none_until_the_peer_is_heard_on_it() {
    let (mut directory, alice, mut a, bob, mut b) = acquainted(715);
    for days in [0, 10] {
        a.now = START.plus(Duration::from_secs(days * 24 * 60 * 60));
        let bundle = directory.claim(b.address());
        a.handle(Input::Bundle(&bundle)).unwrap();
        a.write(&mut directory, &[bob.root.account_id()], b"lost");
        a.handle(Input::Maintain).unwrap();
    }
    assert_eq!(a.machine.session_count(b.address()), 3);
    b.now = a.now;
    let on_the_first = b.write(&mut directory, &[alice.root.account_id()], b"where are you?");
    assert_eq!(a.read(&directory, &on_the_first[0]).unwrap(), b"where are you?");
}

#[test]
fn losing_more_than_the_limit_does_not_break_a_session_for_good() {
    let (mut directory, alice, mut a, bob, mut b) = acquainted(704);
    let account = [bob.root.account_id()];
    for _ in 0..=limits::SKIP_MAX {
        a.write(&mut directory, &account, b"lost");
    }
    let too_far = a.write(&mut directory, &account, b"too far");
    let error = b.read(&directory, &too_far[0]).unwrap_err();
    assert_eq!(error, MachineError::Session(SessionError::Ratchet(RatchetError::TooFarAhead)));
    assert_eq!(error.repair(), Repair::NewSession);

    let bundle = directory.claim(a.address());
    b.handle(Input::Bundle(&bundle)).unwrap();
    let asked = b.write(&mut directory, &[alice.root.account_id()], b"again, please");
    a.read(&directory, &asked[0]).unwrap();
    let again = a.write(&mut directory, &account, b"too far");
    assert_eq!(b.read(&directory, &again[0]).unwrap(), b"too far");
}

#[test]
fn losing_more_than_the_limit_at_the_end_of_a_chain_costs_those_messages_alone() {
    let (mut directory, alice, mut a, bob, mut b) = acquainted(709);
    let account = [bob.root.account_id()];
    let known = a.write(&mut directory, &account, b"the chain is known");
    b.read(&directory, &known[0]).unwrap();
    for _ in 0..=limits::SKIP_MAX {
        a.write(&mut directory, &account, b"lost");
    }
    let turn = b.write(&mut directory, &[alice.root.account_id()], b"your turn");
    a.read(&directory, &turn[0]).unwrap();
    let on = a.write(&mut directory, &account, b"on a new chain");
    assert_eq!(b.read(&directory, &on[0]).unwrap(), b"on a new chain");
}

#[test]
fn an_older_bundle_than_one_that_was_seen_is_refused() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(705);
    a.learn(&directory, bob.root.account_id()).unwrap();
    let old = directory.claim(b.address());
    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION);
    b.maintain(&mut directory);
    a.now = b.now;
    let new = directory.claim(b.address());
    a.handle(Input::Bundle(&new)).unwrap();
    a.restart();
    let error = a.handle(Input::Bundle(&old)).unwrap_err();
    assert_eq!(error, MachineError::StalePrekeys { device: b.address() });
}

const MILLISECOND: Duration = Duration::from_millis(1);

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[test]
fn a_prekey_dated_ahead_does_not_make_later_ones_stale() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(710);
    b.now = START.plus(5 * YEAR);
    b.maintain(&mut directory);
    a.learn(&directory, bob.root.account_id()).unwrap();
    let ahead = directory.claim(b.address());
    a.handle(Input::Bundle(&ahead)).unwrap();

    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION);
    b.maintain(&mut directory);
    let corrected = directory.claim(b.address());
    assert!(corrected.signed_prekey.created_at < ahead.signed_prekey.created_at);
    a.handle(Input::Bundle(&corrected)).unwrap();
    a.restart();
    a.handle(Input::Bundle(&corrected)).unwrap();
}

#[test]
fn a_date_that_was_remembered_under_a_wrong_clock_does_not_count() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(711);
    let bundle = directory.claim(b.address());
    (a.now, b.now) = (START.plus(5 * YEAR), START.plus(5 * YEAR));
    b.maintain(&mut directory);
    a.learn(&directory, bob.root.account_id()).unwrap();
    let ahead = directory.claim(b.address());
    a.handle(Input::Bundle(&ahead)).unwrap();
    assert_eq!(a.handle(Input::Bundle(&bundle)).unwrap_err(), MachineError::StalePrekeys { device: b.address() });
    a.now = START;
    a.handle(Input::Bundle(&bundle)).unwrap();
}

#[test]
fn a_device_certified_anew_is_not_held_to_the_dates_of_its_old_prekeys() {
    let (mut directory, _, mut a, mut bob, mut b) = two_devices(712);
    let old = directory.claim(b.address());
    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION);
    b.maintain(&mut directory);
    a.now = b.now;
    a.learn(&directory, bob.root.account_id()).unwrap();
    let bundle = directory.claim(b.address());
    a.handle(Input::Bundle(&bundle)).unwrap();
    assert_eq!(a.handle(Input::Bundle(&old)).unwrap_err(), MachineError::StalePrekeys { device: b.address() });

    // The same device id with new keys, and with a clock that is some days behind.
    let mut anew = bob.certify_anew(&mut directory, &b, 713);
    anew.now = START;
    anew.maintain(&mut directory);
    a.learn(&directory, bob.root.account_id()).unwrap();
    let bundle = directory.claim(anew.address());
    a.handle(Input::Bundle(&bundle)).unwrap();
}

#[test]
fn a_prekey_lives_until_its_successor_is_published() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(706);
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"from before the sleep");
    // It wakes after long, makes a new key, and cannot upload it.
    for days in [60, 120] {
        b.now = START.plus(Duration::from_secs(days * 24 * 60 * 60));
        b.handle(Input::Maintain).unwrap();
    }
    assert_eq!(b.read(&directory, &sent[0]).unwrap(), b"from before the sleep");
}

#[test]
fn a_prekey_made_under_a_wrong_clock_is_replaced() {
    let (mut directory, _, _, _, mut b) = two_devices(707);
    b.now = START.plus(5 * YEAR);
    b.maintain(&mut directory);
    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION);
    b.maintain(&mut directory);
    assert_eq!(directory.prekeys[&b.address()].signed.as_ref().unwrap().created_at, b.now);
}

#[test]
fn a_prekey_made_with_the_clock_set_back_is_replaced_as_soon_as_it_is_right() {
    for set_back in [Timestamp::from_millis(0), START.plus(limits::SIGNED_PREKEY_SUCCEEDED_KEPT)] {
        let (mut directory, _, mut a, bob, mut b) = two_devices(716);
        a.learn(&directory, bob.root.account_id()).unwrap();
        let long_after = START.plus(2 * limits::SIGNED_PREKEY_SUCCEEDED_KEPT);
        (a.now, b.now) = (long_after, long_after);
        b.maintain(&mut directory);
        let seen = directory.claim(b.address());
        a.handle(Input::Bundle(&seen)).unwrap();
        let under_way = a.write(&mut directory, &[bob.root.account_id()], b"under way");

        b.now = set_back;
        b.maintain(&mut directory);
        let misdated = directory.claim(b.address());
        assert_eq!(misdated.signed_prekey.created_at, set_back);
        let mut carol = Account::new(&mut rng(717)).add_device(&mut directory, 718);
        carol.learn(&directory, bob.root.account_id()).unwrap();
        carol.handle(Input::Bundle(&misdated)).unwrap();
        let from_carol = carol.write(&mut directory, &[bob.root.account_id()], b"with the misdated key");

        b.now = long_after.plus(MILLISECOND);
        b.maintain(&mut directory);
        b.restart();
        let right = directory.claim(b.address());
        assert_eq!(right.signed_prekey.created_at, b.now);
        a.handle(Input::Bundle(&right)).unwrap();
        b.maintain(&mut directory);
        assert_eq!(directory.claim(b.address()).signed_prekey, right.signed_prekey, "once is enough");

        // Both are kept as long as somebody may have used them.
        b.now = b.now.plus(limits::SIGNED_PREKEY_SUCCEEDED_KEPT);
        b.maintain(&mut directory);
        assert_eq!(b.read(&directory, &under_way[0]).unwrap(), b"under way");
        assert_eq!(b.read(&directory, &from_carol[0]).unwrap(), b"with the misdated key");
        assert_eq!(b.held(), b.records);
    }
}

#[test]
fn a_prekey_made_ahead_and_never_published_is_not_published_later() {
    let (mut directory, _, _, _, mut b) = two_devices(719);
    b.now = START.plus(YEAR);
    b.handle(Input::Maintain).unwrap();
    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION);
    b.maintain(&mut directory);
    let stock = &directory.prekeys[&b.address()];
    assert_eq!(stock.signed.as_ref().unwrap().created_at, b.now);
    assert_eq!(stock.last_resort.as_ref().unwrap().created_at, b.now);
    // The first, and the one in its place.
    let signed = |key: &&RecordKey| matches!(key, RecordKey::Prekey(PrekeyKind::Signed, _));
    assert_eq!(b.records.keys().filter(signed).count(), 2);
}

#[test]
fn a_prekey_published_ahead_is_forgotten_as_one_published_now() {
    let (mut directory, _, _, _, mut b) = two_devices(730);
    b.now = START.plus(5 * YEAR);
    b.maintain(&mut directory);
    b.now = START;
    b.maintain(&mut directory);
    let newest = directory.prekeys[&b.address()].signed.clone().unwrap();
    assert_eq!(newest.created_at, START);
    for _ in 0..5 {
        b.now = b.now.plus(limits::SIGNED_PREKEY_ROTATION);
        b.maintain(&mut directory);
    }
    let signed = |key: &&RecordKey| matches!(key, RecordKey::Prekey(PrekeyKind::Signed, _));
    // Those of the last 23 days, and the one before them.
    assert_eq!(b.records.keys().filter(signed).count(), 5);
}

#[test]
fn an_envelope_that_waited_is_stamped_anew_by_its_own_device_alone() {
    let (mut directory, _, mut a, bob, mut b) = acquainted(708);
    let waited = a.write(&mut directory, &[bob.root.account_id()], b"offline").remove(0);
    a.now = START.plus(Duration::from_secs(3_600));
    let stamped = a.handle(Input::Restamp { envelope: &waited, policy: POLICY }).unwrap().send.remove(0);
    assert_eq!((stamped.id, &stamped.payload, stamped.timestamp), (waited.id, &waited.payload, a.now));
    assert_ne!(stamped.nonce, waited.nonce);
    let error = b.handle(Input::Restamp { envelope: &waited, policy: POLICY }).unwrap_err();
    assert_eq!(error, MachineError::Verify(VerifyError::Owner { part: "envelope" }));
    assert_eq!(b.read(&directory, &stamped).unwrap(), b"offline");
}
