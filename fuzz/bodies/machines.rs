//! Stories of three machines: Alice's phone, Bob's phone and Bob's laptop.
//!
//! Input: start 1 (odd: Bob's laptop is on his device list), then actions of two bytes each: what is
//! done, and to what. Devices write to each other's accounts, start sessions although they have some,
//! restart, keep up their keys; the laptop comes and goes; the node delivers in any order, loses,
//! repeats, alters, misdirects and shows false identities; time passes.
//!
//! - An envelope that arrives unaltered for the first time opens and says what was written, unless
//!   the story has run into a limit: sessions, chains, age, or a device that was taken off its list.
//! - Nothing opens twice, elsewhere, or altered in any field.
//! - A refusal changes nothing: the machine holds byte for byte what it held before.
//! - What was saved is what the machine holds, after every input; and it loads.
//! - After the story, all that are listed reach each other, with at most one new session each.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use conclave::ids::{AccountId, DeviceAddress};
use conclave::protocol::identity::AccountRoot;
use conclave::protocol::machine::{Encrypt, Input, MachineError, Outputs, Place, PrekeyKind, RecordKey, Repair};
use conclave::protocol::public::limits;
use conclave::wire::{DeviceList, Envelope, PrekeyBundle, RoomPolicy, Signatures};
use core::time::Duration;

use super::Seed;
use super::support::{Account, Device, Directory, POLICY, ROOM, START, Stock, load, rng};

/// Actions of one story; what follows is not read.
const ACTIONS_MAX: usize = 40;

const ALICE: usize = 0;
const PHONE: usize = 1;
const LAPTOP: usize = 2;

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some((start, actions)) = data.split_first() else { return };
    let mut story = Story::begin(*start);
    for action in actions.chunks_exact(2).take(ACTIONS_MAX) {
        story.act(action[0], action[1]);
    }
    story.end();
}

/// Stories that lead to each of the cases.
pub fn seeds() -> Vec<Seed> {
    let [alice, phone, laptop, deliver, newest, alter, restart, wait, maintain, list, learn, begin, foreign, elsewhere] =
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
    let stories: [(&str, Vec<u8>); 11] = [
        ("first-message", vec![1, alice, 0, deliver, 0, deliver, 1, deliver, 0]),
        ("answers", [vec![1], [alice, 0, newest, 0, newest, 1, phone, 1, newest, 0, newest, 1].repeat(4)].concat()),
        ("both-at-once", vec![0, alice, 0, phone, 0, deliver, 0, deliver, 1, alice, 0, phone, 0, newest, 0, newest, 1]),
        (
            "many-sessions",
            [vec![0], [begin, 3, alice, 0, begin, 1, phone, 0, deliver, 0].repeat(4), vec![newest, 1, newest, 0]]
                .concat(),
        ),
        (
            "own-devices",
            vec![1, phone, 1, newest, 0, newest, 1, laptop, 3, newest, 0, newest, 1, restart, 1, restart, 2],
        ),
        (
            "laptop-removed",
            vec![
                1, alice, 0, laptop, 0, deliver, 1, deliver, 2, list, 0, learn, 3, alice, 0, laptop, 0, newest, 0,
                list, 0, newest, 0,
            ],
        ),
        ("laptop-added", vec![0, laptop, 0, newest, 0, list, 0, newest, 0, alice, 0, newest, 0, newest, 1]),
        (
            "false-identity",
            vec![1, alice, 0, foreign, 3, alice, 0, laptop, 0, newest, 0, learn, 3, alice, 0, foreign, 0],
        ),
        (
            "altered",
            [
                vec![1, alice, 0, deliver, 0, alice, 0],
                [alter, 1, alter, 70, alter, 130, alter, 200, elsewhere, 0, elsewhere, 1].to_vec(),
            ]
            .concat(),
        ),
        (
            "prekeys-rotate",
            vec![
                1, alice, 0, wait, 90, maintain, 1, maintain, 2, deliver, 0, begin, 3, alice, 0, newest, 0, wait, 255,
                maintain, 1, wait, 255, maintain, 1, deliver, 1,
            ],
        ),
        (
            "late",
            [
                vec![0, alice, 0, deliver, 0],
                [alice, 0, alice, 0, newest, 0, phone, 0, newest, 0].repeat(6),
                vec![deliver, 1, deliver, 13, deliver, 16, deliver, 16],
            ]
            .concat(),
        ),
    ];
    stories.into_iter().map(|(name, story)| (name.to_owned(), story)).collect()
}

/// What every story begins with. Devices keep few one-time prekeys, so that they run out.
struct Snapshot {
    records: [BTreeMap<RecordKey, Vec<u8>>; 3],
    prekeys: BTreeMap<DeviceAddress, Stock>,
    alice_list: DeviceList,
    /// In ascending order of version, by turns without the laptop and with it.
    bob_lists: Vec<DeviceList>,
    /// A list for each account, under a root key that is not its own.
    foreign_lists: [DeviceList; 2],
}

fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let mut directory = Directory::default();
        let (mut alice, mut bob) = (Account::new(&mut rng(10)), Account::new(&mut rng(11)));
        let devices = [
            alice.add_device(&mut directory, 12),
            bob.add_device(&mut directory, 13),
            bob.add_device(&mut directory, 14),
        ];
        let laptop = devices[LAPTOP].address();
        let bob_lists = (1..=8).map(|version: u64| {
            let mut certificates = bob.certificates.clone();
            certificates.retain(|certificate| version.is_multiple_of(2) || certificate.address() != laptop);
            bob.root.sign_device_list(version, certificates)
        });
        let foreign_lists = [&alice, &bob].map(|account| {
            let root = AccountRoot::generate(account.root.account_id(), &mut rng(15));
            root.sign_device_list(100, Vec::new())
        });
        let mut prekeys = core::mem::take(&mut directory.prekeys);
        for stock in prekeys.values_mut() {
            stock.one_time.truncate(3);
            stock.one_time_kem.truncate(2);
        }
        let bob_lists = bob_lists.collect();
        let records = devices.map(|device| {
            let stock = &prekeys[&device.address()];
            let mut records = device.records;
            records.retain(|key, _| match key {
                RecordKey::Prekey(PrekeyKind::OneTime, id) => stock.one_time.iter().any(|prekey| prekey.key_id == *id),
                RecordKey::Prekey(PrekeyKind::OneTimeKem, id) => {
                    stock.one_time_kem.iter().any(|prekey| prekey.key_id == *id)
                }
                _ => true,
            });
            records
        });
        let alice_list = directory.lists[&alice.root.account_id()].clone();
        Snapshot { records, prekeys, alice_list, bob_lists, foreign_lists }
    })
}

/// A machine's records after a short conversation, and what its peer has for it.
pub struct MidConversation {
    /// Bob's phone: it has a session with Alice.
    pub records: BTreeMap<RecordKey, Vec<u8>>,
    /// Alice's envelopes to it: on that session, one of them late, and the first of another session.
    pub envelopes: Vec<Envelope>,
    pub alice_list: DeviceList,
    pub alice_bundle: PrekeyBundle,
}

/// Runs a short story and takes the state in which it ends.
pub fn mid_conversation() -> MidConversation {
    let mut story = Story::begin(0);
    for action in [[0, 0], [3, 0], [1, 0], [4, 0], [0, 0], [0, 0], [4, 0]] {
        story.act(action[0], action[1]);
    }
    let records = story.devices[PHONE].records.clone();
    let late = story.sent.len() - 2;
    for action in [[0, 0], [11, 3], [0, 0]] {
        story.act(action[0], action[1]);
    }
    let envelopes = story.sent[late..].iter().filter(|sent| !sent.is_opened).map(|sent| sent.envelope.clone());
    let alice = story.devices[ALICE].address();
    MidConversation {
        records,
        envelopes: envelopes.collect(),
        alice_list: snapshot().alice_list.clone(),
        alice_bundle: story.directory.claim(alice),
    }
}

struct Sent {
    from: usize,
    to: usize,
    envelope: Envelope,
    plaintext: Vec<u8>,
    /// How many envelopes the receiver had opened from the sender by then.
    opened_before: usize,
    is_opened: bool,
}

struct Story {
    directory: Directory,
    devices: [Device; 3],
    bob_list: usize,
    was_laptop_removed: bool,
    sent: Vec<Sent>,
    /// Envelopes opened, by receiver and sender.
    opened: [[usize; 3]; 3],
    /// Sessions started, by starter and peer.
    started: [[usize; 3]; 3],
}

impl Story {
    fn begin(start: u8) -> Self {
        let Snapshot { records, prekeys, alice_list, bob_lists, .. } = snapshot();
        let bob_list = usize::from(start % 2);
        let lists = [alice_list, &bob_lists[bob_list]].map(|list| (list.account_id, list.clone()));
        let mut seed = 20;
        let devices = records.clone().map(|records| {
            seed += 1;
            Device { machine: load(&records).unwrap(), records, rng: rng(seed), now: START }
        });
        Self {
            directory: Directory { lists: BTreeMap::from(lists), prekeys: prekeys.clone() },
            devices,
            bob_list,
            was_laptop_removed: false,
            sent: Vec::new(),
            opened: [[0; 3]; 3],
            started: [[0; 3]; 3],
        }
    }

    fn act(&mut self, action: u8, argument: u8) {
        let pick = usize::from(argument) % self.sent.len().max(1);
        let device = usize::from(argument % 3);
        let other = usize::from(argument / 3 % 3);
        match action % 14 {
            device @ 0..3 => self.write_by_argument(device.into(), argument),
            3 => self.deliver(pick),
            4 => self.deliver(self.sent.len().saturating_sub(1 + pick)),
            5 => self.deliver_altered(argument),
            6 => self.devices[device].restart(),
            7 => self.wait(Duration::from_secs(u64::from(argument) * 2 * 60 * 60)),
            8 => self.devices[device].maintain(&mut self.directory),
            9 => self.publish_next_list(),
            10 => self.learn(device, if other == ALICE { ALICE } else { PHONE }),
            11 => self.start_session(device, other),
            12 => self.show_foreign_list(device, other),
            _ => self.deliver_elsewhere(pick),
        }
    }

    fn handle(&mut self, device: usize, input: Input<'_>) -> Result<Outputs, MachineError> {
        let device = &mut self.devices[device];
        let before = device.held();
        let result = device.handle(input);
        let after = device.held();
        assert!(result.is_ok() || after == before, "a refused input changes the machine");
        assert!(after == device.records, "the machine holds other than it has said to save");
        result
    }

    fn write_by_argument(&mut self, from: usize, argument: u8) {
        let [alice, bob] = [self.account(ALICE), self.account(PHONE)];
        let accounts = match (from, argument % 2) {
            (ALICE, _) => vec![bob],
            (_, 0) => vec![alice],
            (_, _) => vec![alice, bob],
        };
        let place = if argument & 2 == 0 { Place::Room(ROOM) } else { Place::Direct };
        // Refused only while an identity waits to be accepted.
        if let Err(error) = self.write(from, &accounts, place, &[argument; 9]) {
            assert!(matches!(error, MachineError::IdentityChanged { .. }), "cannot write: {error}");
        }
    }

    /// Writes for all devices of some accounts, as a client does: claims what is missing, then again.
    fn write(
        &mut self,
        from: usize,
        accounts: &[AccountId],
        place: Place,
        plaintext: &[u8],
    ) -> Result<(), MachineError> {
        for account in accounts {
            if self.devices[from].machine.device_list(*account).is_none() {
                let list = self.directory.lists[account].clone();
                self.handle(from, Input::DeviceList(&list))?;
            }
        }
        let encrypt = Encrypt { accounts, except: &[], place, policy: POLICY, plaintext };
        let mut outputs = self.handle(from, Input::Encrypt(encrypt))?;
        if !outputs.claim.is_empty() {
            assert!(outputs.send.is_empty());
            for device in outputs.claim {
                let to = self.index(device);
                self.start_session(from, to);
            }
            outputs = self.handle(from, Input::Encrypt(encrypt))?;
            assert!(outputs.claim.is_empty());
        }
        for envelope in outputs.send {
            let to = self.index(envelope.recipient.unwrap());
            let (plaintext, opened_before) = (plaintext.to_vec(), self.opened[to][from]);
            self.sent.push(Sent { from, to, envelope, plaintext, opened_before, is_opened: false });
        }
        Ok(())
    }

    fn start_session(&mut self, from: usize, to: usize) {
        let address = self.devices[to].address();
        let bundle = self.directory.claim(address);
        match self.handle(from, Input::Bundle(&bundle)) {
            Ok(_) => self.started[from][to] += 1,
            Err(error) if from == to => assert_eq!(error, MachineError::OwnDevice),
            Err(error) => assert!(
                matches!(error.repair(), Repair::FetchDevices | Repair::AskUser),
                "a genuine bundle is refused: {error}"
            ),
        }
    }

    fn deliver(&mut self, index: usize) {
        let Some(message) = self.sent.get(index) else { return };
        let (is_repeated, must_open) = (message.is_opened, self.must_open(message));
        let envelope = message.envelope.clone();
        match self.open(index, &envelope) {
            Ok(plaintext) => {
                assert!(!is_repeated, "an envelope opens twice");
                assert_eq!(plaintext, self.sent[index].plaintext);
                let Sent { from, to, is_opened, .. } = &mut self.sent[index];
                *is_opened = true;
                self.opened[*to][*from] += 1;
            }
            Err(error) => assert!(is_repeated || !must_open, "a genuine envelope does not open: {error}"),
        }
    }

    /// Opens an envelope where message `index` goes, fetching the sender's devices if they are missing.
    fn open(&mut self, index: usize, envelope: &Envelope) -> Result<Vec<u8>, MachineError> {
        let Sent { from, to, .. } = self.sent[index];
        let open = Input::Open { envelope, policy: POLICY };
        let result = match self.handle(to, open) {
            Err(error) if matches!(error.repair(), Repair::FetchDevices | Repair::AskUser) => {
                self.learn(to, from);
                self.handle(to, Input::Open { envelope, policy: POLICY })
            }
            result => result,
        };
        let opened = result?.opened.unwrap();
        assert_eq!(opened.sender, self.devices[from].address());
        Ok(opened.plaintext.to_vec())
    }

    /// Whether no limit that the story can reach stands in the envelope's way.
    fn must_open(&self, message: &Sent) -> bool {
        let Sent { from, to, opened_before, .. } = *message;
        let is_listed = ![from, to].contains(&LAPTOP) || (self.is_laptop_listed() && !self.was_laptop_removed);
        is_listed
            && self.started[from][to] + self.started[to][from] <= limits::SESSIONS_PER_DEVICE_MAX
            // Each new chain begins with an envelope that opens.
            && self.opened[to][from] - opened_before < limits::RECEIVING_CHAINS_MAX
            && self.devices[ALICE].now.since(START) < limits::SIGNED_PREKEY_KEPT
    }

    /// Delivers the newest envelope with one bit changed.
    fn deliver_altered(&mut self, argument: u8) {
        let Some(index) = self.sent.len().checked_sub(1) else { return };
        let original = self.sent[index].envelope.clone();
        let mut bytes = original.to_cbor();
        let position = bytes.len() * usize::from(argument) / 256;
        bytes[position] ^= 1 << (argument % 8);
        if let Ok(altered) = Envelope::from_cbor(&bytes)
            && altered != original
        {
            assert!(self.open(index, &altered).is_err(), "an altered envelope opens");
        }
    }

    /// Delivers an envelope to the devices that it is not for, and under a policy that it is not for.
    fn deliver_elsewhere(&mut self, index: usize) {
        let Some(Sent { to, envelope, .. }) = self.sent.get(index) else { return };
        let (to, envelope) = (*to, envelope.clone());
        for device in (0..3).filter(|device| *device != to) {
            let open = Input::Open { envelope: &envelope, policy: POLICY };
            assert_eq!(self.handle(device, open).unwrap_err(), MachineError::NotForThisDevice);
        }
        let policy = RoomPolicy { signatures: Signatures::Off, ..POLICY };
        let unsigned = Envelope { signature: None, ..envelope.clone() };
        assert!(self.handle(to, Input::Open { envelope: &envelope, policy }).is_err());
        assert!(self.handle(to, Input::Open { envelope: &unsigned, policy }).is_err());
    }

    fn wait(&mut self, span: Duration) {
        for device in &mut self.devices {
            device.now = device.now.plus(span);
        }
    }

    fn publish_next_list(&mut self) {
        let Some(list) = snapshot().bob_lists.get(self.bob_list + 1) else { return };
        self.was_laptop_removed |= self.is_laptop_listed();
        self.bob_list += 1;
        self.directory.lists.insert(list.account_id, list.clone());
    }

    fn is_laptop_listed(&self) -> bool {
        self.bob_list % 2 == 1
    }

    /// A device learns the newest list of the account that another belongs to.
    fn learn(&mut self, device: usize, of: usize) {
        let list = self.directory.lists[&self.account(of)].clone();
        let outputs = self.handle(device, Input::DeviceList(&list)).unwrap();
        assert_eq!(outputs.identity_changed, None);
    }

    fn show_foreign_list(&mut self, device: usize, of: usize) {
        let is_alices = of == ALICE;
        let list = &snapshot().foreign_lists[usize::from(!is_alices)];
        let is_own = is_alices == (device == ALICE);
        let is_known = self.devices[device].machine.device_list(list.account_id).is_some();
        if is_own {
            assert_eq!(self.handle(device, Input::DeviceList(list)).unwrap_err(), MachineError::OwnRootChanged);
        } else if is_known {
            // Somebody unknown would be pinned: that is what safety numbers are for.
            let outputs = self.handle(device, Input::DeviceList(list)).unwrap();
            assert_eq!(outputs.identity_changed, Some(list.account_id));
        }
    }

    /// After the story, whoever is listed reaches whoever is listed.
    fn end(mut self) {
        for device in &mut self.devices {
            device.restart();
            assert!(device.held() == device.records, "the loaded machine holds other than was saved");
        }
        let mut pairs = vec![(ALICE, PHONE), (PHONE, ALICE)];
        if self.is_laptop_listed() {
            pairs.extend([(LAPTOP, ALICE), (ALICE, LAPTOP)]);
        }
        for (from, to) in &pairs {
            self.learn(*from, *to);
        }
        for (from, to) in pairs {
            if !self.reaches(from, to) {
                self.start_session(to, from);
                assert!(self.reaches(to, from), "a new session does not reach its peer");
                assert!(self.reaches(from, to), "a new session is not taken into use");
            }
        }
    }

    /// Whether a new message gets from one device to another.
    fn reaches(&mut self, from: usize, to: usize) -> bool {
        let accounts = [self.account(to)];
        self.write(from, &accounts, Place::Direct, b"still there?").unwrap();
        let index = self.sent.iter().rposition(|sent| sent.to == to).unwrap();
        let envelope = self.sent[index].envelope.clone();
        self.open(index, &envelope).is_ok()
    }

    fn account(&self, device: usize) -> AccountId {
        self.devices[device].address().account_id
    }

    fn index(&self, address: DeviceAddress) -> usize {
        self.devices.iter().position(|device| device.address() == address).unwrap()
    }
}
