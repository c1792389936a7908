//! A small world for tests, fuzz targets and benchmarks: devices that keep what they are told to
//! save, and a directory that does what an honest node does with public keys. All randomness is
//! seeded, and time stands still until a test moves it.

#![allow(dead_code, unreachable_pub, reason = "each user of this file takes the part that it needs")]
#![allow(clippy::unwrap_used, reason = "a broken arrangement should stop a test where it breaks")]

use std::collections::BTreeMap;

use conclave::ids::{AccountId, DeviceAddress, DeviceId, OpeningId, RoomId};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::machine::{Encrypt, Input, Machine, MachineError, Outputs, Place, RecordKey};
use conclave::protocol::public::{
    AgreementPublicKey, KemPublicKey, VerifiedPrekeyBundle, agreement_key_id, kem_key_id, kem_prekey_signed_bytes,
    signed_prekey_signed_bytes, verify_prekey_bundle,
};
use conclave::wire::{
    Custody, DeviceCertificate, DeviceList, Envelope, KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyBundle,
    PrekeyPublication, Protection, RoomPolicy, Signatures, SignedPrekey, Timestamp,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The usual policy: clients hold the keys, ratchets protect, envelopes are signed.
pub const POLICY: RoomPolicy =
    RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::On };

/// When every story begins.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A room that stories take place in.
pub const ROOM: RoomId = RoomId::from_bytes(*b"a room for tests");

/// A generator that gives the same bytes in every run.
pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// What a node knows of devices: their lists and their prekeys.
#[derive(Default, Clone)]
pub struct Directory {
    pub lists: BTreeMap<AccountId, DeviceList>,
    pub prekeys: BTreeMap<DeviceAddress, Stock>,
}

/// The prekeys that are left of one device.
#[derive(Default, Clone)]
pub struct Stock {
    pub signed: Option<SignedPrekey>,
    pub last_resort: Option<KemPrekey>,
    pub one_time: Vec<OneTimePrekey>,
    pub one_time_kem: Vec<KemPrekey>,
}

impl Directory {
    /// Stores what a device publishes.
    pub fn publish(&mut self, device: DeviceAddress, publication: PrekeyPublication) {
        let stock = self.prekeys.entry(device).or_default();
        stock.signed = publication.signed_prekey.or(stock.signed.take());
        stock.last_resort = publication.last_resort_kem_prekey.or(stock.last_resort.take());
        stock.one_time.extend(publication.one_time_prekeys);
        stock.one_time_kem.extend(publication.one_time_kem_prekeys);
    }

    /// Hands out a bundle; one-time keys are handed out once.
    pub fn claim(&mut self, device: DeviceAddress) -> PrekeyBundle {
        let stock = self.prekeys.get_mut(&device).unwrap();
        PrekeyBundle {
            device,
            signed_prekey: stock.signed.clone().unwrap(),
            kem_prekey: stock.one_time_kem.pop().or_else(|| stock.last_resort.clone()).unwrap(),
            one_time_prekey: stock.one_time.pop(),
        }
    }
}

/// An account: its root, and the list of devices that it publishes.
pub struct Account {
    pub root: AccountRoot,
    pub version: u64,
    pub certificates: Vec<DeviceCertificate>,
}

impl Account {
    pub fn new(rng: &mut ChaCha20Rng) -> Self {
        let root = AccountRoot::generate(AccountId::generate(rng), rng);
        Self { root, version: 0, certificates: Vec::new() }
    }

    /// Makes and certifies a device, publishes the account's list and the device's first prekeys.
    pub fn add_device(&mut self, directory: &mut Directory, seed: u64) -> Device {
        let mut rng = rng(seed);
        let keys = DeviceKeys::generate(&mut rng);
        let device_id = DeviceId::generate(&mut rng);
        let mut device = self.certify(directory, device_id, keys, rng);
        device.maintain(directory);
        device
    }

    /// Certifies new keys under the id of a device that there is. It has published nothing yet.
    pub fn certify_anew(&mut self, directory: &mut Directory, device: &Device, seed: u64) -> Device {
        let mut rng = rng(seed);
        self.certificates.retain(|certificate| certificate.address() != device.address());
        let keys = DeviceKeys::generate(&mut rng);
        self.certify(directory, device.address().device_id, keys, rng)
    }

    fn certify(&mut self, directory: &mut Directory, id: DeviceId, keys: DeviceKeys, rng: ChaCha20Rng) -> Device {
        let (signing, agreement) = (keys.signing.public_key(), keys.agreement.public_key());
        let certificate = self.root.certify(id, &signing, &agreement, START);
        let (machine, changes) = Machine::new(DeviceIdentity::new(keys, &certificate).unwrap());
        self.certificates.push(certificate);
        self.publish_list(directory);
        let mut device = Device { machine, records: BTreeMap::new(), rng, now: START };
        device.save(changes);
        device
    }

    /// Takes a device off the list.
    pub fn remove_device(&mut self, directory: &mut Directory, device: DeviceAddress) {
        self.certificates.retain(|certificate| certificate.address() != device);
        self.publish_list(directory);
    }

    pub fn publish_list(&mut self, directory: &mut Directory) {
        self.version += 1;
        let list = self.root.sign_device_list(self.version, self.certificates.clone());
        directory.lists.insert(self.root.account_id(), list);
    }
}

/// A device: its machine, and the records that it has saved.
pub struct Device {
    pub machine: Machine,
    pub records: BTreeMap<RecordKey, Vec<u8>>,
    pub rng: ChaCha20Rng,
    pub now: Timestamp,
}

impl Device {
    pub fn address(&self) -> DeviceAddress {
        self.machine.device().address()
    }

    /// Saves changes, as a client's store does.
    pub fn save(&mut self, changes: conclave::protocol::machine::Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.records.insert(key, value.to_vec())),
                None => drop(self.records.remove(&key)),
            }
        }
    }

    /// Hands an input to the machine and saves what it says.
    pub fn handle(&mut self, input: Input<'_>) -> Result<Outputs, MachineError> {
        let mut outputs = self.machine.handle(input, self.now, &mut self.rng)?;
        self.save(core::mem::take(&mut outputs.changes));
        Ok(outputs)
    }

    /// Throws the machine away and loads it from what was saved.
    pub fn restart(&mut self) {
        self.machine = load(&self.records).unwrap();
    }

    /// Everything that the machine holds at this moment, whether it was saved or not.
    pub fn held(&self) -> BTreeMap<RecordKey, Vec<u8>> {
        self.machine.save().into_iter().map(|(key, value)| (key, value.unwrap().to_vec())).collect()
    }

    /// The session that messages to `peer` are sent on: of the saved ones, that of the highest rank.
    pub fn session_in_use(&self, peer: DeviceAddress) -> Option<OpeningId> {
        let sessions = self.records.iter().filter_map(|(key, value)| match key {
            RecordKey::Session(device, id) if *device == peer => Some((value[1..9].to_vec(), *id)),
            _ => None,
        });
        sessions.max().map(|(_, id)| id)
    }

    /// A thief's copy: the same records, and randomness of its own.
    pub fn copy(&self, seed: u64) -> Self {
        Self { machine: load(&self.records).unwrap(), records: self.records.clone(), rng: rng(seed), now: self.now }
    }

    /// Runs the machine's upkeep, and publishes what it has to publish.
    pub fn maintain(&mut self, directory: &mut Directory) {
        let outputs = self.handle(Input::Maintain).unwrap();
        self.publish(directory, outputs);
    }

    /// Tells the machine what the directory has left, and publishes what it has to publish.
    pub fn refill(&mut self, directory: &mut Directory) {
        let stock = directory.prekeys.entry(self.address()).or_default();
        let one_time = stock.one_time.len().try_into().unwrap();
        let one_time_kem = stock.one_time_kem.len().try_into().unwrap();
        let outputs = self.handle(Input::PrekeysLeft { one_time, one_time_kem }).unwrap();
        self.publish(directory, outputs);
    }

    fn publish(&mut self, directory: &mut Directory, outputs: Outputs) {
        if let Some(publication) = outputs.publish {
            directory.publish(self.address(), publication.clone());
            self.handle(Input::Published(&publication)).unwrap();
        }
    }

    /// Learns an account's newest list.
    pub fn learn(&mut self, directory: &Directory, account: AccountId) -> Result<Outputs, MachineError> {
        self.handle(Input::DeviceList(&directory.lists[&account]))
    }

    /// Encrypts for accounts, claiming bundles where sessions are missing.
    pub fn write(&mut self, directory: &mut Directory, accounts: &[AccountId], plaintext: &[u8]) -> Vec<Envelope> {
        self.try_write(directory, accounts, Place::Room(ROOM), POLICY, plaintext).unwrap()
    }

    pub fn try_write(
        &mut self,
        directory: &mut Directory,
        accounts: &[AccountId],
        place: Place,
        policy: RoomPolicy,
        plaintext: &[u8],
    ) -> Result<Vec<Envelope>, MachineError> {
        for account in accounts {
            if self.machine.device_list(*account).is_none() {
                self.learn(directory, *account)?;
            }
        }
        let encrypt = Encrypt { accounts, except: &[], place, policy, plaintext };
        let outputs = self.handle(Input::Encrypt(encrypt))?;
        if outputs.claim.is_empty() {
            return Ok(outputs.send);
        }
        for device in outputs.claim {
            let bundle = directory.claim(device);
            self.handle(Input::Bundle(&bundle))?;
        }
        let outputs = self.handle(Input::Encrypt(encrypt))?;
        assert!(outputs.claim.is_empty());
        Ok(outputs.send)
    }

    /// Opens an envelope, learning its sender's devices where they are not known.
    pub fn read(&mut self, directory: &Directory, envelope: &Envelope) -> Result<Vec<u8>, MachineError> {
        match self.try_read(envelope, POLICY) {
            Err(MachineError::UnknownAccount { account }) => {
                self.learn(directory, account)?;
                self.try_read(envelope, POLICY)
            }
            result => result,
        }
    }

    pub fn try_read(&mut self, envelope: &Envelope, policy: RoomPolicy) -> Result<Vec<u8>, MachineError> {
        let outputs = self.handle(Input::Open { envelope, policy })?;
        Ok(outputs.opened.unwrap().plaintext.to_vec())
    }
}

/// Signs a device's prekeys, and verifies them as whoever claimed them does.
pub fn signed_bundle(
    owner: &DeviceIdentity,
    signed_prekey: &AgreementPublicKey,
    kem_prekey: &KemPublicKey,
    one_time_prekey: &AgreementPublicKey,
) -> VerifiedPrekeyBundle {
    let (signed_key, kem_key, usage) = (signed_prekey.to_wire(), kem_prekey.to_wire(), KemPrekeyUse::OneTime);
    let sign = |message: Vec<u8>| owner.keys().signing.sign(&message);
    let bundle = PrekeyBundle {
        device: owner.address(),
        signed_prekey: SignedPrekey {
            key_id: agreement_key_id(signed_prekey),
            public_key: signed_key,
            created_at: START,
            signature: sign(signed_prekey_signed_bytes(owner.address(), &signed_key, START)),
        },
        kem_prekey: KemPrekey {
            key_id: kem_key_id(kem_prekey),
            usage,
            signature: sign(kem_prekey_signed_bytes(owner.address(), usage, &kem_key, START)),
            public_key: kem_key,
            created_at: START,
        },
        one_time_prekey: Some(OneTimePrekey {
            key_id: agreement_key_id(one_time_prekey),
            public_key: one_time_prekey.to_wire(),
        }),
    };
    verify_prekey_bundle(&bundle, owner.device()).unwrap()
}

/// Loads a machine from saved records.
pub fn load(records: &BTreeMap<RecordKey, Vec<u8>>) -> Result<Machine, MachineError> {
    Machine::load(records.iter().map(|(key, value)| (*key, value.as_slice())))
}

/// Two accounts with a device each, that have not met.
pub fn two_devices(seed: u64) -> (Directory, Account, Device, Account, Device) {
    let mut directory = Directory::default();
    let mut rng = rng(seed);
    let (mut alice, mut bob) = (Account::new(&mut rng), Account::new(&mut rng));
    let alice_device = alice.add_device(&mut directory, seed.wrapping_add(1));
    let bob_device = bob.add_device(&mut directory, seed.wrapping_add(2));
    (directory, alice, alice_device, bob, bob_device)
}
