//! The machine's limits, each at its last good value and one past it.

use conclave::ids::{AccountId, DeviceAddress, OpeningId};
use conclave::protocol::machine::{Input, MachineError, Place, PrekeyKind, RecordKey, Repair};
use conclave::protocol::public::limits;
use conclave::protocol::ratchet::RatchetError;
use conclave::protocol::session::SessionError;
use conclave::wire::{Envelope, ErrorCode};
use core::time::Duration;

use crate::support::{Device, Directory, POLICY, ROOM, START, two_devices};

const MILLISECOND: Duration = Duration::from_millis(1);

fn ratchet(error: RatchetError) -> Result<Vec<u8>, MachineError> {
    Err(MachineError::Session(SessionError::Ratchet(error)))
}

fn count(device: &Device, is_counted: impl Fn(&RecordKey) -> bool) -> usize {
    device.records.keys().filter(|key| is_counted(key)).count()
}

fn one_time(device: &Device) -> usize {
    count(device, |key| matches!(key, RecordKey::Prekey(PrekeyKind::OneTime, _)))
}

fn one_time_kem(device: &Device) -> usize {
    count(device, |key| matches!(key, RecordKey::Prekey(PrekeyKind::OneTimeKem, _)))
}

fn signed(device: &Device) -> usize {
    count(device, |key| matches!(key, RecordKey::Prekey(PrekeyKind::Signed, _)))
}

fn used_openings(device: &Device) -> usize {
    count(device, |key| matches!(key, RecordKey::UsedOpening(_)))
}

/// Starts a new session with a device that is known.
fn start(device: &mut Device, directory: &mut Directory, peer: DeviceAddress) {
    let bundle = directory.claim(peer);
    device.handle(Input::Bundle(&bundle)).unwrap();
}

#[test]
fn the_longest_message_fits_into_an_envelope_and_one_byte_more_is_refused() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(100);
    let longest = vec![7; limits::MESSAGE_BYTES_MAX];
    assert_eq!(longest.len(), 61_439);
    // The first message has the opening around it, with a one-time prekey: there is no longer one.
    let sent = a.write(&mut directory, &[bob.root.account_id()], &longest);
    let from_json = Envelope::from_json(&sent[0].to_json()).unwrap();
    let from_cbor = Envelope::from_cbor(&sent[0].to_cbor()).unwrap();
    assert_eq!((&from_json, &from_cbor), (&sent[0], &sent[0]));
    assert_eq!(b.read(&directory, &from_cbor).unwrap(), longest);

    let before = a.held();
    let too_long = vec![7; limits::MESSAGE_BYTES_MAX + 1];
    let error =
        a.try_write(&mut directory, &[bob.root.account_id()], Place::Room(ROOM), POLICY, &too_long).unwrap_err();
    assert_eq!(error, MachineError::Session(SessionError::Ratchet(RatchetError::TooLong)));
    assert_eq!((error.code(), error.repair()), (ErrorCode::MessageTooLong, Repair::CorrectCall));
    assert_eq!(a.held(), before);
}

#[test]
fn late_messages_of_all_sessions_with_a_device_share_one_limit() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(101);
    let account = [bob.root.account_id()];
    let late_on_old = lose(&mut a, &mut directory, &account, 3);
    let message = a.write(&mut directory, &account, b"");
    b.read(&directory, &message[0]).unwrap();

    start(&mut a, &mut directory, b.address());
    let late_on_new = lose(&mut a, &mut directory, &account, limits::SKIPPED_KEYS_MAX - 1);
    let message = a.write(&mut directory, &account, b"");
    b.read(&directory, &message[0]).unwrap();
    assert_eq!(b.machine.session_count(a.address()), 2);
    b.restart();

    // 2,002 are late: the two oldest of the session that is out of use are given up.
    assert_eq!(b.read(&directory, &late_on_old[0]), ratchet(RatchetError::KeyGivenUp));
    assert_eq!(b.read(&directory, &late_on_old[1]), ratchet(RatchetError::KeyGivenUp));
    assert_eq!(b.read(&directory, &late_on_new[0]).unwrap(), 0_usize.to_be_bytes());
    assert_eq!(b.read(&directory, &late_on_old[2]).unwrap(), 2_usize.to_be_bytes());
}

fn lose(
    from: &mut Device,
    directory: &mut Directory,
    accounts: &[conclave::ids::AccountId],
    messages: usize,
) -> Vec<Envelope> {
    (0..messages).flat_map(|number| from.write(directory, accounts, &number.to_be_bytes())).collect()
}

#[test]
fn a_fifth_session_takes_the_place_of_the_one_longest_out_of_use() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(102);
    let account = [bob.root.account_id()];
    let mut late = Vec::new();
    for number in 1..=limits::SESSIONS_PER_DEVICE_MAX + 1 {
        if number > 1 {
            start(&mut a, &mut directory, b.address());
        }
        late.extend(lose(&mut a, &mut directory, &account, 1));
        let message = a.write(&mut directory, &account, b"");
        b.read(&directory, &message[0]).unwrap();
        assert_eq!(b.machine.session_count(a.address()), number.min(limits::SESSIONS_PER_DEVICE_MAX));
        assert_eq!(a.machine.session_count(b.address()), number.min(limits::SESSIONS_PER_DEVICE_MAX));
    }
    let is_session = |key: &RecordKey| matches!(key, RecordKey::Session(..));
    assert_eq!(count(&a, is_session), limits::SESSIONS_PER_DEVICE_MAX);
    assert_eq!(count(&b, is_session), limits::SESSIONS_PER_DEVICE_MAX);
    b.restart();
    assert_eq!(b.read(&directory, &late[0]), Err(MachineError::OpeningReplayed));
    for envelope in &late[1..] {
        b.read(&directory, envelope).unwrap();
    }
    // The one on which the peer was heard last is in use, not the one that was made last.
    assert_eq!(b.session_in_use(a.address()), a.session_in_use(b.address()));
    b.write(&mut directory, &[alice.root.account_id()], b"");
}

#[test]
fn a_used_opening_is_remembered_until_its_signed_prekey_is_gone() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(103);
    let stock = directory.prekeys.get_mut(&b.address()).unwrap();
    stock.one_time.clear();
    stock.one_time_kem.clear();
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"once");
    b.read(&directory, &sent[0]).unwrap();
    assert_eq!(used_openings(&b), 1);

    // Without its session, so that the memory alone stands against it.
    b.records.retain(|key, _| !matches!(key, RecordKey::Session(..)));
    b.restart();
    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION);
    b.maintain(&mut directory);
    b.now = START.plus(limits::SIGNED_PREKEY_KEPT);
    b.maintain(&mut directory);
    assert_eq!((used_openings(&b), signed(&b)), (1, 3));
    assert_eq!(b.read(&directory, &sent[0]), Err(MachineError::OpeningReplayed));

    b.now = b.now.plus(MILLISECOND);
    b.maintain(&mut directory);
    assert_eq!((used_openings(&b), signed(&b)), (0, 2));
    let error = b.read(&directory, &sent[0]).unwrap_err();
    assert!(matches!(error, MachineError::PrekeyGone { .. }), "{error}");
    assert_eq!(b.machine.session_count(a.address()), 0);
    drop(alice);
}

/// Whether a first message opens a session where so many openings of its sender and so many of
/// others are remembered.
fn opens_beside(of_sender: usize, of_others: usize) -> bool {
    let (mut directory, _, mut a, bob, mut b) = two_devices(104);
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"first");
    let signed_prekey = directory.prekeys[&b.address()].signed.clone().unwrap().key_id;
    for number in 0..of_sender + of_others {
        let other = AccountId::from_bytes([7; 16]);
        let account = if number < of_sender { a.address().account_id } else { other };
        let record = [&[1][..], signed_prekey.as_bytes(), account.as_bytes()].concat();
        let id = OpeningId::from_bytes((number as u128).to_be_bytes());
        b.records.insert(RecordKey::UsedOpening(id), record);
    }
    b.restart();
    match b.read(&directory, &sent[0]) {
        Ok(plaintext) => {
            assert_eq!((plaintext, used_openings(&b)), (b"first".to_vec(), of_sender + of_others + 1));
            true
        }
        Err(error) => {
            let expected = MachineError::TooManyOpenings { account: a.address().account_id };
            assert_eq!((error, error.repair()), (expected, Repair::Wait));
            assert_eq!(b.held(), b.records);
            false
        }
    }
}

#[test]
fn openings_of_one_account_are_refused_before_they_take_all_the_room() {
    assert!(opens_beside(limits::USED_OPENINGS_PER_ACCOUNT_MAX - 1, 0));
    assert!(!opens_beside(limits::USED_OPENINGS_PER_ACCOUNT_MAX, 0));
}

#[test]
fn openings_are_refused_when_no_more_can_be_remembered_but_for_a_few_of_each_account() {
    let reserved = limits::USED_OPENINGS_RESERVED;
    assert!(opens_beside(reserved, limits::USED_OPENINGS_MAX - reserved - 1));
    assert!(!opens_beside(reserved, limits::USED_OPENINGS_MAX - reserved));
    assert!(opens_beside(reserved - 1, limits::USED_OPENINGS_MAX - reserved + 1));
}

#[test]
fn one_time_prekeys_are_deleted_when_they_are_used() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(105);
    let full = limits::ONE_TIME_PREKEYS_FULL;
    assert_eq!((one_time(&b), one_time_kem(&b)), (full, full));
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"one");
    b.read(&directory, &sent[0]).unwrap();
    assert_eq!((one_time(&b), one_time_kem(&b)), (full - 1, full - 1));
    b.restart();
    assert_eq!(b.held(), b.records);

    // The node hands the same bundle out again: the second message finds the keys gone.
    let mut again = a.copy(1);
    again.records.retain(|key, _| !matches!(key, RecordKey::Session(..)));
    again.restart();
    let stock = directory.prekeys.get_mut(&b.address()).unwrap();
    let used = stock.one_time.clone();
    let bundle = directory.claim(b.address());
    assert_eq!(bundle.one_time_prekey, used.last().cloned());
    again.handle(Input::Bundle(&bundle)).unwrap();
    a.handle(Input::Bundle(&bundle)).unwrap();
    let first = a.write(&mut directory, &[bob.root.account_id()], b"first");
    let second = again.write(&mut directory, &[bob.root.account_id()], b"second");
    b.read(&directory, &first[0]).unwrap();
    let error = b.read(&directory, &second[0]).unwrap_err();
    assert!(matches!(error, MachineError::PrekeyGone { .. }));
    assert_eq!(error.repair(), Repair::NewSession);
}

#[test]
fn the_signed_prekey_is_rotated_after_7_days_and_kept_for_30() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(106);
    let first = directory.prekeys[&b.address()].clone();
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"under way for 30 days");

    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION.saturating_sub(MILLISECOND));
    b.maintain(&mut directory);
    assert_eq!(directory.prekeys[&b.address()].signed, first.signed);
    b.now = START.plus(limits::SIGNED_PREKEY_ROTATION);
    b.maintain(&mut directory);
    assert_ne!(directory.prekeys[&b.address()].signed, first.signed);
    assert_ne!(directory.prekeys[&b.address()].last_resort, first.last_resort);
    assert_eq!(signed(&b), 2);
    assert_eq!(count(&b, |key| matches!(key, RecordKey::Prekey(PrekeyKind::LastResortKem, _))), 2);

    let kept = b.copy(1);
    for (age, is_kept) in [(limits::SIGNED_PREKEY_KEPT, true), (limits::SIGNED_PREKEY_KEPT + MILLISECOND, false)] {
        let mut b = kept.copy(2);
        b.now = START.plus(age);
        b.handle(Input::Maintain).unwrap();
        assert_eq!(b.held(), b.records);
        match b.read(&directory, &sent[0]) {
            Ok(plaintext) => assert!(is_kept && plaintext == b"under way for 30 days"),
            Err(error) => assert!(!is_kept && matches!(error, MachineError::PrekeyGone { .. })),
        }
    }
}

#[test]
fn a_device_that_wakes_when_it_is_told_to_forgets_a_signed_prekey_after_30_days() {
    let (mut directory, _, _, _, mut b) = two_devices(113);
    let forgotten_at = START.plus(limits::SIGNED_PREKEY_KEPT).plus(MILLISECOND);
    let mut counts = Vec::new();
    while b.now < forgotten_at {
        let outputs = b.handle(Input::Maintain).unwrap();
        let maintain_at = outputs.maintain_at.unwrap();
        if let Some(publication) = outputs.publish {
            directory.publish(b.address(), publication.clone());
            b.handle(Input::Published(&publication)).unwrap();
        }
        counts.push(signed(&b));
        b.now = maintain_at;
    }
    assert_eq!((b.now, counts), (forgotten_at, vec![1, 2, 3, 4, 5]));
    b.handle(Input::Maintain).unwrap();
    assert_eq!(signed(&b), 4);
}

#[test]
fn a_signed_prekey_outlives_a_long_sleep_until_its_successor_is_long_published() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(107);
    b.now = START.plus(10 * limits::SIGNED_PREKEY_KEPT);
    // Nobody had another key to use in all that time.
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"asleep");
    b.maintain(&mut directory);
    assert_eq!(signed(&b), 2);
    assert_eq!(b.read(&directory, &sent[0]).unwrap(), b"asleep");

    let awake = b.now;
    for (age, is_kept) in [(Duration::ZERO, true), (MILLISECOND, false)] {
        b.now = awake.plus(limits::SIGNED_PREKEY_SUCCEEDED_KEPT).plus(age);
        b.maintain(&mut directory);
        // A third was due meanwhile.
        assert_eq!(signed(&b), if is_kept { 3 } else { 2 });
    }
    start(&mut a, &mut directory, b.address());
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"awake");
    assert_eq!(b.read(&directory, &sent[0]).unwrap(), b"awake");
}

#[test]
fn the_supply_is_filled_to_100_when_fewer_than_30_are_left() {
    let (mut directory, _, _, _, mut b) = two_devices(108);
    let (low, full) = (limits::ONE_TIME_PREKEYS_LOW, limits::ONE_TIME_PREKEYS_FULL);
    let left = |directory: &Directory, b: &Device| {
        let stock = &directory.prekeys[&b.address()];
        (stock.one_time.len(), stock.one_time_kem.len())
    };
    let stock = directory.prekeys.get_mut(&b.address()).unwrap();
    stock.one_time.truncate(low);
    stock.one_time_kem.truncate(low);
    b.refill(&mut directory);
    assert_eq!(left(&directory, &b), (low, low));

    directory.claim(b.address());
    directory.prekeys.get_mut(&b.address()).unwrap().one_time_kem.truncate(low);
    b.refill(&mut directory);
    assert_eq!(left(&directory, &b), (full, full));
    b.restart();
    assert_eq!(b.held(), b.records);
}

#[test]
fn keys_that_the_node_has_not_stored_are_offered_again_and_not_made_again() {
    let (mut directory, _, _, _, mut b) = two_devices(109);
    directory.prekeys.remove(&b.address());
    let none = Input::PrekeysLeft { one_time: 0, one_time_kem: 0 };
    let offered = b.handle(none).unwrap().publish.unwrap();
    b.restart();
    let again = b.handle(Input::PrekeysLeft { one_time: 0, one_time_kem: 0 }).unwrap();
    assert_eq!(again.publish.unwrap(), offered);
    assert!(again.changes.is_empty());
    b.handle(Input::Published(&offered)).unwrap();
    b.restart();
    assert_eq!(b.handle(Input::Maintain).unwrap().publish, None);
}

#[test]
fn a_node_that_keeps_asking_pushes_out_the_oldest_one_time_prekeys_only() {
    let (mut directory, _, mut a, bob, mut b) = two_devices(110);
    let old = directory.claim(b.address());
    let (full, kept_max) = (limits::ONE_TIME_PREKEYS_FULL, limits::ONE_TIME_PREKEYS_KEPT_MAX);
    for round in 2..=6 {
        b.now = b.now.plus(MILLISECOND);
        directory.prekeys.get_mut(&b.address()).unwrap().one_time.clear();
        directory.prekeys.get_mut(&b.address()).unwrap().one_time_kem.clear();
        b.refill(&mut directory);
        assert_eq!(one_time(&b), (round * full).min(kept_max));
        assert_eq!(one_time_kem(&b), (round * full).min(kept_max));
    }
    assert_eq!(b.held(), b.records);
    // What was claimed before is gone; what was claimed last is not.
    a.learn(&directory, bob.root.account_id()).unwrap();
    a.handle(Input::Bundle(&old)).unwrap();
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"too late");
    let error = b.read(&directory, &sent[0]).unwrap_err();
    assert_eq!((error.code(), error.repair()), (ErrorCode::PrekeyGone, Repair::NewSession));
    start(&mut a, &mut directory, b.address());
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"repaired");
    assert_eq!(b.read(&directory, &sent[0]).unwrap(), b"repaired");
}
