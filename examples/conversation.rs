//! Two devices meet through a directory that sees only public keys and envelopes.
//!
//! Run it with `cargo run --example conversation`. It shows how a client drives the machine: hand in
//! what happened, save the changes, then do what the outputs say.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use conclave::ids::{AccountId, DeviceId, RoomId};
use conclave::protocol::backup::AccountSecrets;
use conclave::protocol::identity::{DeviceIdentity, DeviceKeys};
use conclave::protocol::machine::{Encrypt, Input, Machine, Outputs, Place, RecordKey};
use conclave::protocol::safety_number::{AccountKey, SafetyNumber, Sides};
use conclave::wire::{
    Custody, DeviceList, Envelope, PrekeyBundle, PrekeyPublication, Protection, RoomPolicy, Signatures, Timestamp,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const POLICY: RoomPolicy =
    RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::On };

fn main() -> Result<(), Box<dyn Error>> {
    let (mut alice, mut bob) = (Client::new("alice")?, Client::new("bob")?);
    let room = RoomId::generate(&mut alice.rng);

    // Bob publishes his devices and prekeys, and goes offline. Alice fetches them.
    let prekeys = bob.handle(Input::Maintain)?.publish.ok_or("no prekeys")?;
    bob.handle(Input::Published(&prekeys))?;
    println!("bob     publishes {} one-time prekeys", prekeys.one_time_prekeys.len());
    alice.handle(Input::DeviceList(&bob.list))?;
    alice.handle(Input::Bundle(&claim(&bob, &prekeys)?))?;

    let first = alice.encrypt(&bob, room, "Are you there?")?;
    println!("node    sees {} of {} bytes", first.id, first.payload.0.len());

    // Bob comes back: he loads what he saved, learns who Alice is, and reads.
    bob.restart()?;
    bob.handle(Input::DeviceList(&alice.list))?;
    bob.open(&first)?;

    alice.handle(Input::DeviceList(&bob.list))?;
    let answer = bob.encrypt(&alice, room, "I am now.")?;
    alice.open(&answer)?;
    let third = alice.encrypt(&bob, room, "Then let us compare numbers.")?;
    println!("node    sees {} of {} bytes: no opening any more", third.id, third.payload.0.len());
    bob.open(&third)?;

    match bob.handle(Input::Open { envelope: &third, policy: POLICY }) {
        Ok(_) => return Err("a replay was read".into()),
        Err(error) => println!("bob     refuses a replay: {error}"),
    }
    let number = SafetyNumber::of(&Sides { ours: alice.account_key(), theirs: bob.account_key() });
    println!("both    compare {number}");
    Ok(())
}

/// A client: its machine, and the store that the machine's changes are saved in.
struct Client {
    name: &'static str,
    /// What is backed up: the account's root, which certifies its devices, and its vault's key.
    secrets: AccountSecrets,
    list: DeviceList,
    machine: Machine,
    store: BTreeMap<RecordKey, Vec<u8>>,
    rng: ChaCha20Rng,
}

impl Client {
    fn new(name: &'static str) -> Result<Self, Box<dyn Error>> {
        // Randomness comes from the operating system; the core itself asks nobody for it.
        let mut rng = ChaCha20Rng::try_from_rng(&mut getrandom::SysRng)?;
        let secrets = AccountSecrets::generate(AccountId::generate(&mut rng), &mut rng);
        let keys = DeviceKeys::generate(&mut rng);
        let (signing, agreement) = (keys.signing.public_key(), keys.agreement.public_key());
        let certificate = secrets.root().certify(DeviceId::generate(&mut rng), &signing, &agreement, now());
        let list = secrets.root().sign_device_list(1, vec![certificate.clone()]);
        let (machine, changes) = Machine::new(DeviceIdentity::new(keys, &certificate)?);
        let mut client = Self { name, secrets, list, machine, store: BTreeMap::new(), rng };
        client.save(Outputs { changes, ..Outputs::default() });
        Ok(client)
    }

    /// How the account is known to those who compare safety numbers with it.
    fn account_key(&self) -> AccountKey {
        AccountKey { account_id: self.secrets.account_id(), root_key: self.secrets.root().public_key() }
    }

    fn handle(&mut self, input: Input<'_>) -> Result<Outputs, Box<dyn Error>> {
        let outputs = self.machine.handle(input, now(), &mut self.rng)?;
        Ok(self.save(outputs))
    }

    /// Saves first; only then may anything else in the outputs be acted on.
    fn save(&mut self, mut outputs: Outputs) -> Outputs {
        for (key, value) in std::mem::take(&mut outputs.changes) {
            match value {
                Some(value) => drop(self.store.insert(key, value.to_vec())),
                None => drop(self.store.remove(&key)),
            }
        }
        outputs
    }

    fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        let records = self.store.iter().map(|(key, value)| (*key, value.as_slice()));
        self.machine = Machine::load(records)?;
        println!("{:7} comes back with {} saved records", self.name, self.store.len());
        Ok(())
    }

    fn encrypt(&mut self, to: &Self, room: RoomId, text: &str) -> Result<Envelope, Box<dyn Error>> {
        println!("{:7} writes \"{text}\"", self.name);
        let accounts = [to.secrets.account_id()];
        let encrypt = Encrypt {
            accounts: &accounts,
            except: &[],
            place: Place::Room(room),
            policy: POLICY,
            plaintext: text.as_bytes(),
        };
        self.handle(Input::Encrypt(encrypt))?.send.pop().ok_or_else(|| "nothing to send".into())
    }

    fn open(&mut self, envelope: &Envelope) -> Result<(), Box<dyn Error>> {
        let opened = self.handle(Input::Open { envelope, policy: POLICY })?.opened.ok_or("nothing opened")?;
        println!("{:7} reads  \"{}\"", self.name, String::from_utf8_lossy(&opened.plaintext));
        Ok(())
    }
}

/// What a node does when somebody claims a bundle: one key of each kind.
fn claim(client: &Client, prekeys: &PrekeyPublication) -> Result<PrekeyBundle, Box<dyn Error>> {
    Ok(PrekeyBundle {
        device: client.machine.device().address(),
        signed_prekey: prekeys.signed_prekey.clone().ok_or("no signed prekey")?,
        kem_prekey: prekeys.one_time_kem_prekeys.first().cloned().ok_or("no KEM prekey")?,
        one_time_prekey: prekeys.one_time_prekeys.first().cloned(),
    })
}

#[expect(clippy::disallowed_methods, reason = "a client reads the clock; the core is told the time")]
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(0).plus(elapsed)
}
