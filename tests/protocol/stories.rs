//! Single stories, told step by step.

use conclave::protocol::identity::AccountRoot;
use conclave::protocol::machine::{Input, MachineError, Repair};

use crate::support::{Account, Device, Directory, rng, two_devices};

#[test]
fn a_message_to_somebody_offline_is_read_later_and_answered() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(1);
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"hello");
    a.restart();
    b.restart();
    assert_eq!(b.read(&directory, &sent[0]).unwrap(), b"hello");
    let answer = b.write(&mut directory, &[alice.root.account_id()], b"hello yourself");
    b.restart();
    assert_eq!(a.read(&directory, &answer[0]).unwrap(), b"hello yourself");
    let third = a.write(&mut directory, &[bob.root.account_id()], b"and again");
    assert!(third[0].payload.0.len() < sent[0].payload.0.len(), "the opening is not repeated after an answer");
    assert_eq!(b.read(&directory, &third[0]).unwrap(), b"and again");
}

#[test]
fn a_first_message_opens_one_session_once_also_after_a_restart() {
    let (mut directory, _alice, mut a, bob, mut b) = two_devices(2);
    directory.prekeys.get_mut(&b.address()).unwrap().one_time.clear();
    directory.prekeys.get_mut(&b.address()).unwrap().one_time_kem.clear();
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"once");
    assert_eq!(b.read(&directory, &sent[0]).unwrap(), b"once");
    let error = b.read(&directory, &sent[0]).unwrap_err();
    assert_eq!(error.repair(), Repair::Nothing);
    // Even when every session is gone, the opening is remembered.
    b.records.retain(|key, _| !matches!(key, conclave::protocol::machine::RecordKey::Session(..)));
    b.restart();
    assert_eq!(b.read(&directory, &sent[0]), Err(MachineError::OpeningReplayed));
}

#[test]
fn both_sides_starting_at_once_come_together_on_one_session() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(3);
    let from_a = a.write(&mut directory, &[bob.root.account_id()], b"from a");
    let from_b = b.write(&mut directory, &[alice.root.account_id()], b"from b");
    assert_eq!(b.read(&directory, &from_a[0]).unwrap(), b"from a");
    assert_eq!(a.read(&directory, &from_b[0]).unwrap(), b"from b");
    for round in 0..3_u8 {
        let from_a = a.write(&mut directory, &[bob.root.account_id()], &[round]);
        assert_eq!(b.read(&directory, &from_a[0]).unwrap(), [round]);
        let from_b = b.write(&mut directory, &[alice.root.account_id()], &[round]);
        assert_eq!(a.read(&directory, &from_b[0]).unwrap(), [round]);
        assert_eq!(from_b[0].payload.0[0], 1, "no opening is repeated");
    }
}

#[test]
fn all_devices_of_a_user_can_read_and_a_removed_one_cannot() {
    let mut directory = Directory::default();
    let mut alice = Account::new(&mut rng(4));
    let mut bob = Account::new(&mut rng(5));
    let mut a = alice.add_device(&mut directory, 6);
    let mut phones: Vec<Device> = (7..10).map(|seed| bob.add_device(&mut directory, seed)).collect();
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"to all");
    assert_eq!(sent.len(), 3);
    for phone in &mut phones {
        let own = sent.iter().find(|envelope| envelope.recipient == Some(phone.address())).unwrap();
        assert_eq!(phone.read(&directory, own).unwrap(), b"to all");
        let other = sent.iter().find(|envelope| envelope.recipient != Some(phone.address())).unwrap();
        assert_eq!(phone.read(&directory, other), Err(MachineError::NotForThisDevice));
    }
    bob.remove_device(&mut directory, phones[1].address());
    a.learn(&directory, bob.root.account_id()).unwrap();
    assert_eq!(a.machine.session_count(phones[1].address()), 0);
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"to two");
    assert_eq!(sent.len(), 2);
    // What the removed device still sends is refused.
    let late = phones[1].write(&mut directory, &[alice.root.account_id()], b"me too");
    assert_eq!(
        a.try_read(&late[0], crate::support::POLICY),
        Err(MachineError::UnknownDevice { device: phones[1].address() })
    );
}

#[test]
fn a_new_identity_blocks_until_it_is_accepted() {
    let (mut directory, _alice, mut a, mut bob, mut b) = two_devices(11);
    let account = bob.root.account_id();
    let sent = a.write(&mut directory, &[account], b"before");
    assert_eq!(b.read(&directory, &sent[0]).unwrap(), b"before");
    let old_list = directory.lists[&account].clone();

    bob.root = AccountRoot::generate(account, &mut rng(12));
    bob.certificates.clear();
    let mut b2 = bob.add_device(&mut directory, 13);
    let outputs = a.learn(&directory, account).unwrap();
    assert_eq!(outputs.identity_changed, Some(account));
    a.restart();
    let refused = a.try_write(
        &mut directory,
        &[account],
        conclave::protocol::machine::Place::Direct,
        crate::support::POLICY,
        b"to whom?",
    );
    assert_eq!(refused.unwrap_err(), MachineError::IdentityChanged { account });

    let root_key = a.machine.identity_change(account).unwrap().clone();
    assert_eq!(root_key, bob.root.public_key());
    a.handle(Input::AcceptIdentity { account, root_key: &root_key }).unwrap();
    let sent = a.write(&mut directory, &[account], b"after");
    assert_eq!(b2.read(&directory, &sent[0]).unwrap(), b"after");
    let outputs = a.handle(Input::DeviceList(&old_list)).unwrap();
    assert_eq!(outputs.identity_changed, Some(account), "the old identity is now the foreign one");
}

#[test]
fn a_waiting_identity_cannot_be_rolled_back() {
    let (mut directory, _alice, mut a, mut bob, mut b) = two_devices(21);
    let account = bob.root.account_id();
    let sent = a.write(&mut directory, &[account], b"before");
    b.read(&directory, &sent[0]).unwrap();

    bob.root = AccountRoot::generate(account, &mut rng(22));
    bob.certificates.clear();
    let removed = bob.add_device(&mut directory, 23);
    let with_removed = directory.lists[&account].clone();
    bob.remove_device(&mut directory, removed.address());
    a.learn(&directory, account).unwrap();
    let held = a.held();
    let error = a.handle(Input::DeviceList(&with_removed)).unwrap_err();
    let (known, given) = (directory.lists[&account].version, with_removed.version);
    assert_eq!(error, MachineError::StaleDeviceList { known, given });
    assert_eq!(a.held(), held);
}

#[test]
fn a_forgotten_account_leaves_nothing_but_its_used_openings() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(24);
    let sent = a.write(&mut directory, &[bob.root.account_id()], b"hello");
    b.read(&directory, &sent[0]).unwrap();
    b.handle(Input::ForgetAccount(alice.root.account_id())).unwrap();
    assert!(b.machine.device_list(alice.root.account_id()).is_none());
    assert_eq!(b.machine.session_count(a.address()), 0);
    assert_eq!(b.read(&directory, &sent[0]), Err(MachineError::OpeningReplayed));
    b.restart();
    let again = b.write(&mut directory, &[alice.root.account_id()], b"who are you?");
    assert_eq!(a.read(&directory, &again[0]).unwrap(), b"who are you?");
}
