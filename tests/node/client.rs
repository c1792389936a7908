//! A signed-in device: the protocol core as the client, and the node over HTTP as its directory.

use conclave::ids::{AccountId, DeviceAddress, DeviceId};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::machine::{Encrypt, Input, Machine, Outputs, Place};
use conclave::wire::{
    Bytes, DeviceList, Envelope, PrekeyBundle, PrekeyPublication, PrekeyStatus, SecretText, SessionTokens,
};
use rand_chacha::ChaCha20Rng;
use serde_json::json;

use crate::server::{Answer, Api, START};
use crate::support::{Account, Device, POLICY, ROOM, rng};

/// Somebody with an account on the node, whose root key is on this machine.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) tokens: SessionTokens,
}

impl Person {
    /// Signs in and makes a root key. Nothing is published yet.
    pub(crate) async fn sign_in(node: &Api, name: &str, seed: u64) -> Self {
        let tokens = node.sign_in(name).await;
        let root = AccountRoot::generate(tokens.account_id, &mut rng(seed));
        Self { account: Account { root, version: 0, certificates: Vec::new() }, tokens }
    }

    pub(crate) fn token(&self) -> &SecretText {
        &self.tokens.access_token
    }

    /// Makes a device and certifies it. Its list is not published yet.
    pub(crate) fn certify_device(&mut self, seed: u64) -> Device {
        let mut rng: ChaCha20Rng = rng(seed);
        let keys = DeviceKeys::generate(&mut rng);
        let (signing_key, agreement_key) = (keys.signing.public_key(), keys.agreement.public_key());
        let device_id = DeviceId::generate(&mut rng);
        let certificate = self.account.root.certify(device_id, &signing_key, &agreement_key, START);
        let (machine, changes) = Machine::new(DeviceIdentity::new(keys, &certificate).unwrap());
        self.account.certificates.push(certificate);
        let mut device = Device { machine, records: std::collections::BTreeMap::new(), rng, now: START };
        device.save(changes);
        device
    }

    /// The next version of the account's signed list.
    pub(crate) fn next_list(&mut self) -> DeviceList {
        self.account.version += 1;
        self.account.root.sign_device_list(self.account.version, self.account.certificates.clone())
    }

    pub(crate) async fn put_list(&self, node: &Api, list: &DeviceList) -> Answer {
        node.put("/api/devices", Some(self.token()), &json!(list)).await
    }

    /// Makes the session that of a device, by its proof.
    pub(crate) async fn bind(&self, node: &Api, device: &Device) -> Answer {
        let signature = device.machine.prove_session(self.tokens.session_id);
        self.bind_with(node, device.address().device_id, &signature).await
    }

    pub(crate) async fn bind_with(&self, node: &Api, device: DeviceId, signature: &Bytes<64>) -> Answer {
        let body = json!({ "device_id": device, "signature": signature });
        node.put("/api/session/device", Some(self.token()), &body).await
    }

    pub(crate) async fn put_prekeys(&self, node: &Api, prekeys: &PrekeyPublication) -> Answer {
        node.put("/api/prekeys", Some(self.token()), &json!(prekeys)).await
    }

    pub(crate) async fn claim(&self, node: &Api, device: DeviceAddress) -> Answer {
        let DeviceAddress { account_id, device_id } = device;
        node.post(&format!("/api/users/{account_id}/devices/{device_id}/claim"), Some(self.token()), &json!({})).await
    }

    pub(crate) async fn fetch_list(&self, node: &Api, account: AccountId) -> Answer {
        node.get(&format!("/api/users/{account}/devices"), Some(self.token())).await
    }
}

/// Somebody signed in on one device that others can write to.
pub(crate) struct User {
    pub(crate) person: Person,
    pub(crate) device: Device,
}

impl User {
    /// Signs in, registers a device, and publishes list and prekeys.
    pub(crate) async fn join(node: &Api, name: &str, seed: u64) -> Self {
        let mut user = Self::join_without_prekeys(node, name, seed).await;
        user.publish_prekeys(node).await;
        user
    }

    pub(crate) async fn publish_prekeys(&mut self, node: &Api) {
        let prekeys = self.new_prekeys();
        let _: PrekeyStatus = self.person.put_prekeys(node, &prekeys).await.ok();
        self.device.handle(Input::Published(&prekeys)).unwrap();
    }

    pub(crate) async fn join_without_prekeys(node: &Api, name: &str, seed: u64) -> Self {
        let mut person = Person::sign_in(node, name, seed).await;
        let device = person.certify_device(seed + 1);
        let list = person.next_list();
        person.put_list(node, &list).await.done();
        person.bind(node, &device).await.done();
        Self { person, device }
    }

    /// What the device has to publish; it holds the secret halves from now on.
    pub(crate) fn new_prekeys(&mut self) -> PrekeyPublication {
        self.device.handle(Input::Maintain).unwrap().publish.unwrap()
    }

    pub(crate) fn address(&self) -> DeviceAddress {
        self.device.address()
    }

    /// Learns an account's devices from the node.
    pub(crate) async fn learn(&mut self, node: &Api, account: AccountId) {
        let list: DeviceList = self.person.fetch_list(node, account).await.ok();
        self.device.handle(Input::DeviceList(&list)).unwrap();
    }

    /// Encrypts for an account, claiming from the node what is missing.
    pub(crate) async fn write(&mut self, node: &Api, account: AccountId, plaintext: &[u8]) -> Vec<Envelope> {
        let encrypt =
            Encrypt { accounts: &[account], except: &[], place: Place::Room(ROOM), policy: POLICY, plaintext };
        let outputs = self.device.handle(Input::Encrypt(encrypt)).unwrap();
        for device in &outputs.claim {
            let bundle: PrekeyBundle = self.person.claim(node, *device).await.ok();
            self.device.handle(Input::Bundle(&bundle)).unwrap();
        }
        let Outputs { send, .. } =
            if outputs.claim.is_empty() { outputs } else { self.device.handle(Input::Encrypt(encrypt)).unwrap() };
        send
    }
}
