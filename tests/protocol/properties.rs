//! Whole stories, generated: two or three devices write, and a network delivers in any order, drops,
//! repeats and alters; devices restart, time passes, prekeys run out. A model without cryptography
//! says what must be readable.

use std::collections::{BTreeMap, BTreeSet};

use conclave::ids::{DeviceAddress, OpeningId};
use conclave::protocol::machine::{Input, MachineError, Place, Repair};
use conclave::protocol::public::limits;
use conclave::protocol::session::PairwiseMessage;
use conclave::wire::{Bytes, Destination, DeviceCertificate, Envelope, RoomPolicy, Signatures, Timestamp};
use core::time::Duration;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Account, Device, Directory, POLICY, ROOM, START, rng};

/// So many repairs bring two devices back together, whatever was given up.
const REPAIRS_MAX: u8 = 2;

/// Nothing is given up for its age in this time: prekeys are rotated in it, and kept for longer.
const SHORT: Duration = Duration::from_secs(20 * 86_400);

const _: () = assert!(
    SHORT.as_secs() > limits::SIGNED_PREKEY_ROTATION.as_secs()
        && SHORT.as_secs() < limits::SIGNED_PREKEY_KEPT.as_secs()
        && SHORT.as_secs() < limits::SKIPPED_KEY_KEPT.as_secs()
);

#[derive(Clone, Debug)]
enum Action {
    /// Somebody writes to all others, or to one of them, into the room or directly.
    Write { from: Index, to: Option<Index>, is_direct: bool },
    /// One of the envelopes under way arrives.
    Arrive(Index),
    /// The oldest envelope under way arrives.
    ArriveNext,
    /// One of them is lost.
    Lose(Index),
    /// One that arrived before arrives again.
    Repeat(Index),
    /// One of them arrives altered; the genuine one stays under way.
    Alter(Index, Alteration),
    /// A device stops, and starts from its saved records.
    Restart(Index),
    /// Two devices start a session with each other at the same moment.
    StartAtOnce(Index, Index),
    /// An account publishes its device list anew, and the others learn it.
    Relist(Index),
    /// The node tells a device how many prekeys it has left.
    Refill(Index),
    /// The node has no one-time prekeys left of a device.
    Drain(Index),
    /// Time passes, and every device does its upkeep.
    Pass(Duration),
}

#[derive(Clone, Debug)]
enum Alteration {
    /// One bit of the payload.
    Payload(Index),
    /// The payload is cut.
    Cut(Index),
    Signature,
    Room,
    Recipient,
    Sender,
    Nonce,
    Time,
    Epoch,
    /// It is shown under another policy.
    Policy,
}

fn alteration() -> impl Strategy<Value = Alteration> {
    prop_oneof![
        6 => any::<Index>().prop_map(Alteration::Payload),
        2 => any::<Index>().prop_map(Alteration::Cut),
        1 => Just(Alteration::Signature),
        1 => Just(Alteration::Room),
        1 => Just(Alteration::Recipient),
        1 => Just(Alteration::Sender),
        1 => Just(Alteration::Nonce),
        1 => Just(Alteration::Time),
        1 => Just(Alteration::Epoch),
        1 => Just(Alteration::Policy),
    ]
}

fn action(days_max: u64) -> impl Strategy<Value = Action> {
    let party = any::<Index>;
    prop_oneof![
        8 => (party(), prop::option::of(party()), any::<bool>())
            .prop_map(|(from, to, is_direct)| Action::Write { from, to, is_direct }),
        6 => any::<Index>().prop_map(Action::Arrive),
        6 => Just(Action::ArriveNext),
        2 => any::<Index>().prop_map(Action::Lose),
        3 => any::<Index>().prop_map(Action::Repeat),
        3 => (any::<Index>(), alteration()).prop_map(|(which, how)| Action::Alter(which, how)),
        2 => party().prop_map(Action::Restart),
        1 => (party(), party()).prop_map(|(one, other)| Action::StartAtOnce(one, other)),
        1 => party().prop_map(Action::Relist),
        1 => party().prop_map(Action::Refill),
        1 => party().prop_map(Action::Drain),
        1 => (0..=days_max, 0..86_400_u64).prop_map(|(days, seconds)| Action::Pass(Duration::from_secs(days * 86_400 + seconds))),
    ]
}

/// An envelope and what the model knows of it.
#[derive(Clone)]
struct Sent {
    envelope: Envelope,
    from: usize,
    to: usize,
    plaintext: Vec<u8>,
}

impl Sent {
    fn message(&self) -> PairwiseMessage {
        PairwiseMessage::parse(&self.envelope.payload.0).unwrap()
    }
}

/// What a reader has seen of one writer.
#[derive(Default)]
struct Heard {
    /// Ratchet keys, in the order in which their first messages were read.
    chains: Vec<[u8; 32]>,
}

impl Heard {
    /// Whether the limit of chains cannot have been reached since this chain was heard.
    fn keeps(&self, ratchet_key: &[u8; 32]) -> bool {
        let newer = self.chains.iter().rev().take_while(|key| *key != ratchet_key).count();
        newer < limits::RECEIVING_CHAINS_MAX
    }
}

/// Three accounts with a device each. Their first prekeys are made once, which takes most of the
/// time; each story begins from what was saved and published then.
fn cast() -> (Directory, Vec<Account>, Vec<Device>) {
    type Saved = (Directory, Vec<(Vec<DeviceCertificate>, Device)>);
    thread_local! {
        static SAVED: Saved = {
            let mut directory = Directory::default();
            let cast = accounts().into_iter().zip(1..).map(|(mut account, number)| {
                let device = account.add_device(&mut directory, number);
                (account.certificates, device)
            });
            let cast = cast.collect();
            (directory, cast)
        };
    }
    SAVED.with(|(directory, cast)| {
        let mut accounts = accounts();
        for (account, (certificates, _)) in accounts.iter_mut().zip(cast) {
            account.version = 1;
            account.certificates.clone_from(certificates);
        }
        (directory.clone(), accounts, cast.iter().map(|(_, device)| device.copy(0)).collect())
    })
}

fn accounts() -> Vec<Account> {
    let mut rng = rng(0);
    (0..3).map(|_| Account::new(&mut rng)).collect()
}

struct World {
    policy: RoomPolicy,
    /// Whether no more than [`SHORT`] passes in all.
    is_short: bool,
    directory: Directory,
    accounts: Vec<Account>,
    devices: Vec<Device>,
    under_way: Vec<Sent>,
    read: Vec<Sent>,
    heard: BTreeMap<(usize, usize), Heard>,
    /// Sessions between two devices, known by the openings that they were started with.
    started: BTreeMap<(usize, usize), BTreeSet<OpeningId>>,
    written: u64,
}

impl World {
    fn new(seed: u64, parties: usize, policy: RoomPolicy, is_short: bool) -> Self {
        let (directory, accounts, mut devices) = cast();
        devices.truncate(parties);
        for (number, device) in (1..).zip(&mut devices) {
            device.rng = rng(seed ^ number);
        }
        let (under_way, read, heard, started) = (Vec::new(), Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { policy, is_short, directory, accounts, devices, under_way, read, heard, started, written: 0 }
    }

    fn party(&self, which: Index) -> usize {
        which.index(self.devices.len())
    }

    fn party_of(&self, device: DeviceAddress) -> usize {
        self.devices.iter().position(|other| other.address() == device).unwrap()
    }

    /// Whether nothing between two devices can have been given up for want of room or for its age.
    fn is_kept(&self, one: usize, other: usize) -> bool {
        let sessions = self.started.get(&(one.min(other), one.max(other))).map_or(0, BTreeSet::len);
        let passed = self.devices[0].now.since(START);
        // Of several sessions those out of use are forgotten.
        let sessions_max = if passed <= limits::SESSION_UNUSED_KEPT { limits::SESSIONS_PER_DEVICE_MAX } else { 1 };
        self.is_short && sessions <= sessions_max
    }

    fn write(&mut self, from: usize, to: &[usize], place: Place) -> Vec<Sent> {
        self.written += 1;
        let plaintext = [&b"message "[..], &self.written.to_be_bytes()].concat();
        let accounts: Vec<_> = to.iter().map(|to| self.accounts[*to].root.account_id()).collect();
        let device = &mut self.devices[from];
        let envelopes = device.try_write(&mut self.directory, &accounts, place, self.policy, &plaintext).unwrap();
        assert_eq!(envelopes.len(), to.len());
        let sent: Vec<Sent> = envelopes
            .into_iter()
            .map(|envelope| {
                let to = self.party_of(envelope.recipient.unwrap());
                Sent { envelope, from, to, plaintext: plaintext.clone() }
            })
            .collect();
        for sent in &sent {
            self.note_session(sent);
        }
        sent
    }

    fn note_session(&mut self, sent: &Sent) {
        if let Some(opening) = sent.message().opening {
            let pair = (sent.from.min(sent.to), sent.from.max(sent.to));
            self.started.entry(pair).or_default().insert(opening.id());
        }
    }

    /// Hands an envelope to the device that it is for. Whatever the outcome, what the device holds is
    /// what it has saved; after an error it is what it was, byte for byte.
    fn hand_over(&mut self, to: usize, envelope: &Envelope, policy: RoomPolicy) -> Result<Vec<u8>, MachineError> {
        let device = &mut self.devices[to];
        let account = envelope.sender.account_id;
        if device.machine.device_list(account).is_none() {
            device.learn(&self.directory, account).unwrap();
        }
        let before = device.records.clone();
        let result = device.handle(Input::Open { envelope, policy }).map(|outputs| {
            let opened = outputs.opened.unwrap();
            assert_eq!((opened.sender, opened.envelope_id), (envelope.sender, envelope.id));
            assert_eq!((opened.destination, opened.timestamp), (envelope.destination, envelope.timestamp));
            opened.plaintext.to_vec()
        });
        if result.is_err() {
            assert_eq!(device.records, before);
        }
        assert_eq!(device.held(), device.records);
        result
    }

    fn arrive(&mut self, which: usize) {
        let sent = self.under_way.remove(which);
        let key = sent.message().sealed.header.ratchet_key;
        let is_kept = self.is_kept(sent.from, sent.to);
        let heard = self.heard.entry((sent.from, sent.to)).or_default();
        let is_kept = is_kept && (!heard.chains.contains(&key) || heard.keeps(&key));
        match self.hand_over(sent.to, &sent.envelope, self.policy) {
            Ok(plaintext) => {
                assert_eq!(plaintext, sent.plaintext);
                let heard = self.heard.entry((sent.from, sent.to)).or_default();
                if !heard.chains.contains(&key) {
                    heard.chains.push(key);
                }
                self.read.push(sent);
            }
            Err(error) => assert!(!is_kept, "{error}"),
        }
    }

    fn repeat(&mut self, which: usize) {
        let sent = self.read[which].clone();
        let error = self.hand_over(sent.to, &sent.envelope, self.policy).unwrap_err();
        let key = sent.message().sealed.header.ratchet_key;
        if self.is_kept(sent.from, sent.to) && self.heard[&(sent.from, sent.to)].keeps(&key) {
            assert_eq!(error.repair(), Repair::Nothing, "{error}");
        }
    }

    fn alter(&mut self, which: usize, how: &Alteration) {
        let Sent { mut envelope, to, .. } = self.under_way[which].clone();
        let mut policy = self.policy;
        match how {
            Alteration::Payload(bit) => {
                let bit = bit.index(envelope.payload.0.len() * 8);
                envelope.payload.0[bit / 8] ^= 1 << (bit % 8);
            }
            Alteration::Cut(length) => envelope.payload.0.truncate(length.index(envelope.payload.0.len())),
            Alteration::Signature => match &mut envelope.signature {
                Some(signature) => signature.0[63] ^= 1,
                None => envelope.signature = Some(Bytes([1; 64])),
            },
            Alteration::Room => envelope.destination = Destination::Room(conclave::ids::RoomId::from_bytes([0; 16])),
            Alteration::Recipient => envelope.recipient = Some(envelope.sender),
            Alteration::Sender => {
                let other = (0..self.devices.len()).find(|party| self.devices[*party].address() != envelope.sender);
                envelope.sender = self.devices[other.unwrap()].address();
            }
            Alteration::Nonce => envelope.nonce.0[0] ^= 1,
            Alteration::Time => envelope.timestamp = Timestamp::from_millis(envelope.timestamp.as_millis() + 1),
            Alteration::Epoch => envelope.epoch = Some(1),
            Alteration::Policy => {
                policy.signatures = match policy.signatures {
                    Signatures::On => Signatures::Off,
                    Signatures::Off => Signatures::On,
                }
            }
        }
        let is_bound_by_signature_alone =
            matches!(how, Alteration::Nonce | Alteration::Time | Alteration::Epoch) || is_spare(&envelope, how);
        if policy.signatures == Signatures::On || !is_bound_by_signature_alone {
            self.hand_over(to, &envelope, policy).unwrap_err();
        }
    }

    fn start(&mut self, from: usize, to: usize) {
        let to_account = self.accounts[to].root.account_id();
        if self.devices[from].machine.device_list(to_account).is_none() {
            self.devices[from].learn(&self.directory, to_account).unwrap();
        }
        let bundle = self.directory.claim(self.devices[to].address());
        self.devices[from].handle(Input::Bundle(&bundle)).unwrap();
    }

    fn pass(&mut self, span: Duration) {
        let passed = self.devices[0].now.since(START);
        let span = if self.is_short { span.min(SHORT.saturating_sub(passed)) } else { span };
        for device in &mut self.devices {
            device.now = device.now.plus(span);
            device.maintain(&mut self.directory);
            assert_eq!(device.held(), device.records);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write { from, to, is_direct } => {
                let from = self.party(from);
                let others: Vec<usize> = (0..self.devices.len()).filter(|party| *party != from).collect();
                let place = if is_direct { Place::Direct } else { Place::Room(ROOM) };
                let to = to.map_or_else(|| others.clone(), |to| vec![others[to.index(others.len())]]);
                let sent = self.write(from, &to, place);
                self.under_way.extend(sent);
            }
            Action::Arrive(which) if !self.under_way.is_empty() => self.arrive(which.index(self.under_way.len())),
            Action::ArriveNext if !self.under_way.is_empty() => self.arrive(0),
            Action::Lose(which) if !self.under_way.is_empty() => {
                self.under_way.remove(which.index(self.under_way.len()));
            }
            Action::Repeat(which) if !self.read.is_empty() => self.repeat(which.index(self.read.len())),
            Action::Alter(which, how) if !self.under_way.is_empty() => {
                self.alter(which.index(self.under_way.len()), &how);
            }
            Action::Restart(party) => {
                let party = self.party(party);
                self.devices[party].restart();
                assert_eq!(self.devices[party].held(), self.devices[party].records);
            }
            Action::StartAtOnce(one, other) => {
                let (one, other) = (self.party(one), self.party(other));
                if one != other {
                    self.start(one, other);
                    self.start(other, one);
                    for (from, to) in [(one, other), (other, one)] {
                        let sent = self.write(from, &[to], Place::Direct);
                        self.under_way.extend(sent);
                    }
                }
            }
            Action::Relist(party) => {
                let party = self.party(party);
                self.accounts[party].publish_list(&mut self.directory);
                let account = self.accounts[party].root.account_id();
                for device in &mut self.devices {
                    device.learn(&self.directory, account).unwrap();
                }
            }
            Action::Refill(party) => {
                let party = self.party(party);
                self.devices[party].refill(&mut self.directory);
            }
            Action::Drain(party) => {
                let device = self.devices[self.party(party)].address();
                let stock = self.directory.prekeys.get_mut(&device).unwrap();
                stock.one_time.clear();
                stock.one_time_kem.clear();
            }
            Action::Pass(span) => self.pass(span),
            Action::Arrive(_) | Action::ArriveNext | Action::Lose(_) | Action::Repeat(_) | Action::Alter(..) => {}
        }
    }

    /// The network becomes quiet; one round trip later each two devices talk on one session.
    fn come_to_rest(&mut self) {
        while !self.under_way.is_empty() {
            self.arrive(0);
        }
        for one in 0..self.devices.len() {
            for other in 0..one {
                self.reach(one, other, REPAIRS_MAX);
                self.reach(other, one, REPAIRS_MAX);
                self.says(one, other);
                self.says(other, one);
                let (here, there) = (&self.devices[one], &self.devices[other]);
                let session = here.session_in_use(there.address());
                assert!(session.is_some() && session == there.session_in_use(here.address()));
                for (from, to) in [(one, other), (other, one)] {
                    assert_eq!(self.says(from, to).opening, None, "both sides are known to hold the session");
                }
            }
        }
    }

    /// One writes until the other can read it. If something was given up, the reader does what its
    /// error says: it starts a new session, or asks again, and the writer writes again.
    fn reach(&mut self, from: usize, to: usize, repairs_max: u8) {
        let sent = self.write(from, &[to], Place::Direct).remove(0);
        if let Err(error) = self.hand_over(to, &sent.envelope, self.policy) {
            assert!(!self.is_kept(from, to) && repairs_max > 0, "{error}");
            match error.repair() {
                Repair::NewSession => self.start(to, from),
                repair => assert_eq!(repair, Repair::AskAgain, "{error}"),
            }
            self.reach(to, from, repairs_max - 1);
            self.reach(from, to, repairs_max - 1);
        }
    }

    /// One writes and the other reads, without delay.
    fn says(&mut self, from: usize, to: usize) -> PairwiseMessage {
        let sent = self.write(from, &[to], Place::Direct).remove(0);
        assert_eq!(self.hand_over(to, &sent.envelope, self.policy).unwrap(), sent.plaintext);
        sent.message()
    }
}

/// Whether only an opening's KEM ciphertext was altered. Once its session is known an opening is not
/// looked at again, and its id leaves the ciphertext out: then nothing but the signature covers it.
fn is_spare(envelope: &Envelope, how: &Alteration) -> bool {
    const KEM_CIPHERTEXT_LENGTH: usize = 1_568;
    let Alteration::Payload(bit) = how else { return false };
    let payload = &envelope.payload.0;
    let Ok(PairwiseMessage { opening: Some(opening), .. }) = PairwiseMessage::parse(payload) else { return false };
    let end = 1 + 32 + 8 + 1 + if opening.one_time_prekey_id.is_some() { 8 } else { 0 } + 8 + KEM_CIPHERTEXT_LENGTH;
    (end - KEM_CIPHERTEXT_LENGTH..end).contains(&(bit.index(payload.len() * 8) / 8))
}

fn play(seed: u64, parties: usize, signatures: Signatures, is_short: bool, script: Vec<Action>) {
    let mut world = World::new(seed, parties, RoomPolicy { signatures, ..POLICY }, is_short);
    for action in script {
        world.act(action);
    }
    world.come_to_rest();
}

fn signatures() -> impl Strategy<Value = Signatures> {
    prop_oneof![Just(Signatures::On), Just(Signatures::Off)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_read_once_in_any_order(
        seed: u64,
        parties in 2..=3_usize,
        signatures in signatures(),
        script in prop::collection::vec(action(8), 1..80),
    ) {
        play(seed, parties, signatures, true, script);
    }

    #[test]
    fn nothing_false_is_read_however_much_time_passes(
        seed: u64,
        parties in 2..=3_usize,
        signatures in signatures(),
        script in prop::collection::vec(action(40), 1..80),
    ) {
        play(seed, parties, signatures, false, script);
    }
}
