//! The machine: all pairwise traffic of one device, as data in and data out.
//!
//! A client drives it: [`Machine::handle`] takes an [`Input`] with the time and randomness, and
//! returns [`Outputs`]: what to publish, what to fetch, what to send, what was read, and the
//! [`Changes`] to save. The changes of one call are saved as one transaction, before anything else
//! in the outputs is acted on. After an error nothing has changed.
//!
//! ```text
//! keys        my identity; my prekey supply: what to publish, when to refill and rotate
//! contacts    accounts with their pinned root keys and newest device lists
//! sessions    with each device, the one in use first
//! openings    first messages that were used, until their signed prekeys are gone
//! ```
//!
//! Two devices that know each other's lists; the node's part is played by plain values:
//!
//! ```
//! use conclave::ids::{AccountId, DeviceId};
//! use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
//! use conclave::protocol::machine::{Encrypt, Input, Machine, Place};
//! use conclave::wire::{Custody, PrekeyBundle, Protection, RoomPolicy, Signatures, Timestamp};
//! # use rand_core::SeedableRng;
//! # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
//! # let now = Timestamp::from_millis(1_800_000_000_000);
//!
//! let mut new_device = || {
//!     let root = AccountRoot::generate(AccountId::generate(&mut rng), &mut rng);
//!     let keys = DeviceKeys::generate(&mut rng);
//!     let (signing, agreement) = (keys.signing.public_key(), keys.agreement.public_key());
//!     let certificate = root.certify(DeviceId::generate(&mut rng), &signing, &agreement, now);
//!     let list = root.sign_device_list(1, vec![certificate.clone()]);
//!     DeviceIdentity::new(keys, &certificate).map(|identity| (Machine::new(identity).0, list))
//! };
//! let (mut alice, alice_list) = new_device()?;
//! let (mut bob, bob_list) = new_device()?;
//!
//! // Bob publishes prekeys; Alice learns his devices, claims a bundle and writes.
//! let prekeys = bob.handle(Input::Maintain, now, &mut rng)?.publish.unwrap();
//! let bundle = PrekeyBundle {
//!     device: bob.device().address(),
//!     signed_prekey: prekeys.signed_prekey.unwrap(),
//!     kem_prekey: prekeys.one_time_kem_prekeys[0].clone(),
//!     one_time_prekey: prekeys.one_time_prekeys.first().cloned(),
//! };
//! alice.handle(Input::DeviceList(&bob_list), now, &mut rng)?;
//! alice.handle(Input::Bundle(&bundle), now, &mut rng)?;
//! let policy =
//!     RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::Off };
//! let accounts = [bob_list.account_id];
//! let message = Encrypt { accounts: &accounts, except: &[], place: Place::Direct, policy, plaintext: b"hello" };
//! let sent = alice.handle(Input::Encrypt(message), now, &mut rng)?.send;
//!
//! // Bob learns who wrote, and reads.
//! bob.handle(Input::DeviceList(&alice_list), now, &mut rng)?;
//! let outputs = bob.handle(Input::Open { envelope: &sent[0], policy }, now, &mut rng)?;
//! let opened = outputs.opened.unwrap();
//! assert_eq!(*opened.plaintext, b"hello");
//! assert_eq!(opened.sender, alice.device().address());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it does not do: it knows no rooms and no members; the caller says who is to read a message
//! and under which policy. Deleted state is gone only if the caller's store really deletes.
//!
//! An attacker who is the node can delay, drop and reorder. It cannot make the machine accept a
//! device that the account's root did not certify, an older device list, a first message twice, or a
//! message in another place than it was written for.

mod changes;
mod contacts;
mod encrypt;
mod error;
mod io;
mod load;
mod open;
mod peer_sessions;
mod prekey_supply;
mod prekeys;
mod used_openings;

use rand_core::CryptoRng;

pub use changes::{Changes, PrekeyKind, RecordKey, RecordKeyError};
pub use error::{MachineError, Repair};
pub use io::{Encrypt, Input, Opened, Outputs, Place};

use crate::ids::{AccountId, DeviceAddress, SessionId};
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::{
    SignatureBytes, SigningPublicKey, VerifiedDevice, VerifiedDeviceList, verify_prekey_bundle,
};
use crate::protocol::session::PairwiseSession;
use crate::wire::{PrekeyBundle, Timestamp};

use contacts::Contacts;
use peer_sessions::Peers;
use prekey_supply::PrekeySupply;
use used_openings::UsedOpenings;

/// All of one device's pairwise state.
#[derive(Debug)]
pub struct Machine {
    identity: DeviceIdentity,
    supply: PrekeySupply,
    contacts: Contacts,
    peers: Peers,
    used_openings: UsedOpenings,
}

impl Machine {
    /// The machine of a device that has just been certified, and the changes that save it. It pins
    /// its own account's root key, and publishes its first prekeys at the first [`Input::Maintain`].
    #[must_use]
    pub fn new(identity: DeviceIdentity) -> (Self, Changes) {
        let mut changes = Changes::default();
        changes.put(RecordKey::Identity, identity.save());
        let machine = Self {
            supply: PrekeySupply::default(),
            contacts: Contacts::of_own(identity.device()),
            peers: Peers::default(),
            used_openings: UsedOpenings::default(),
            identity,
        };
        (machine, changes)
    }

    /// Every record, as [`Machine::load`] reads them: to move a device to another store. After each
    /// call it is what all [`Changes`] so far add up to. Secret.
    #[must_use]
    pub fn save(&self) -> Changes {
        let Self { identity, supply, contacts, peers, used_openings } = self;
        let mut changes = Changes::default();
        changes.put(RecordKey::Identity, identity.save());
        supply.save(&mut changes);
        contacts.save(&mut changes);
        peers.save(&mut changes);
        used_openings.save(&mut changes);
        changes
    }

    /// This device.
    #[must_use]
    pub const fn device(&self) -> &VerifiedDevice {
        self.identity.device()
    }

    /// Says that a session on a node is this device's: what the node asks for before it treats it so.
    #[must_use]
    pub fn prove_session(&self, session: SessionId) -> SignatureBytes {
        self.identity.prove_session(session)
    }

    /// The newest device list known of an account, under its pinned root key.
    #[must_use]
    pub fn device_list(&self, account: AccountId) -> Option<&VerifiedDeviceList> {
        self.contacts.get(account).map(|contact| &contact.list)
    }

    /// Whether a new identity of this account waits to be accepted, and with which root key.
    #[must_use]
    pub fn identity_change(&self, account: AccountId) -> Option<&SigningPublicKey> {
        self.contacts.get(account)?.changed_to.as_ref().map(VerifiedDeviceList::root_key)
    }

    /// How many sessions there are with a device.
    #[must_use]
    pub fn session_count(&self, device: DeviceAddress) -> usize {
        self.peers.sessions(device).len()
    }

    /// Takes one input; on `Err` nothing has changed.
    ///
    /// # Errors
    /// [`MachineError`]; its [`repair`](MachineError::repair) says what the client does about it.
    pub fn handle(
        &mut self,
        input: Input<'_>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Outputs, MachineError> {
        match input {
            Input::Maintain => Ok(self.maintain(now, rng)),
            Input::PrekeysLeft { one_time, one_time_kem } => Ok(self.refill(one_time, one_time_kem, now, rng)),
            Input::Published(publication) => {
                let mut outputs = Outputs::default();
                self.supply.published(publication, now, &mut outputs.changes);
                Ok(outputs)
            }
            Input::DeviceList(list) => self.learn_devices(list),
            Input::ForgetAccount(account) => Ok(self.forget_account(account)),
            Input::AcceptIdentity { account, root_key } => self.accept_identity(account, root_key),
            Input::Bundle(bundle) => self.start_session(bundle, now, rng),
            Input::Encrypt(encrypt) => self.encrypt(encrypt, now, rng),
            Input::Restamp { envelope, policy } => self.restamp(envelope, policy, now, rng),
            Input::Open { envelope, policy } => self.open(envelope, policy, now),
        }
    }

    fn maintain(&mut self, now: Timestamp, rng: &mut impl CryptoRng) -> Outputs {
        let mut outputs = Outputs::default();
        let dropped = self.supply.maintain(now, rng, &mut outputs.changes);
        self.used_openings.forget(&dropped, &mut outputs.changes);
        self.peers.expire(now, &mut outputs.changes);
        outputs.publish = self.supply.publication(&self.identity, now);
        outputs.maintain_at = Some(self.supply.due_at(now));
        outputs
    }

    fn refill(&mut self, one_time: u32, one_time_kem: u32, now: Timestamp, rng: &mut impl CryptoRng) -> Outputs {
        let mut outputs = Outputs::default();
        self.supply.refill(one_time, one_time_kem, now, rng, &mut outputs.changes);
        outputs.publish = self.supply.publication(&self.identity, now);
        outputs
    }

    fn start_session(
        &mut self,
        bundle: &PrekeyBundle,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Outputs, MachineError> {
        if bundle.device == self.identity.address() {
            return Err(MachineError::OwnDevice);
        }
        let (device, made_at) = (bundle.device, bundle.signed_prekey.created_at);
        let verified = verify_prekey_bundle(bundle, self.contacts.device(device)?)?;
        self.contacts.check_signed_prekey(device, made_at, now)?;
        let session = PairwiseSession::initiate(&self.identity, &verified, rng)?;
        let mut outputs = Outputs::default();
        self.contacts.saw_signed_prekey(device, made_at, now, &mut outputs.changes);
        self.peers.start(device, session, now, &mut outputs.changes);
        Ok(outputs)
    }
}
