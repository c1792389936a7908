//! Whoever has the node: keys of their own, shown as somebody else's, and every envelope that passes.

use conclave::ids::{AccountId, DeviceAddress, DeviceId};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::machine::{Input, Machine};
use conclave::protocol::public::{AgreementPublicKey, SigningPublicKey};
use conclave::wire::{DeviceCertificate, DeviceList, Envelope, PrekeyBundle, RoomPolicy, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Keys that the attacker holds, under the name of an account that is not theirs.
pub(crate) struct Attacker {
    root: AccountRoot,
    certificate: DeviceCertificate,
    machine: Machine,
    rng: ChaCha20Rng,
}

impl Attacker {
    /// A device of `account` by a root key of the attacker's.
    pub(crate) fn posing_as(account: AccountId) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let device = DeviceId::generate(&mut rng);
        Self::posing_as_device(DeviceAddress { account_id: account, device_id: device })
    }

    /// A certain device, by a root key of the attacker's.
    pub(crate) fn posing_as_device(device: DeviceAddress) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let root = AccountRoot::generate(device.account_id, &mut rng);
        let keys = DeviceKeys::generate(&mut rng);
        let (signing, agreement) = (keys.signing.public_key(), keys.agreement.public_key());
        let certificate = root.certify(device.device_id, &signing, &agreement, Timestamp::from_millis(1));
        let identity = DeviceIdentity::new(keys, &certificate).unwrap();
        let (machine, _) = Machine::new(identity);
        Self { root, certificate, machine, rng }
    }

    pub(crate) fn certificate(&self) -> DeviceCertificate {
        self.certificate.clone()
    }

    /// A certificate of the same device by a root key that is not the attacker's: as if its owner had taken it in once.
    pub(crate) fn certified_by(&self, root: &AccountRoot) -> DeviceCertificate {
        let DeviceCertificate { device_id, signing_key, agreement_key, created_at, .. } = &self.certificate;
        let signing_key = SigningPublicKey::parse(&signing_key.0).unwrap();
        let agreement_key = AgreementPublicKey::parse(&agreement_key.0).unwrap();
        root.certify(*device_id, &signing_key, &agreement_key, *created_at)
    }

    /// A list of this device alone, by the attacker's root key.
    pub(crate) fn list(&self, version: u64) -> DeviceList {
        self.root.sign_device_list(version, vec![self.certificate()])
    }

    /// Prekeys of this device. They hold, for whoever takes the device for what it says it is.
    pub(crate) fn bundle(&mut self, now: Timestamp) -> PrekeyBundle {
        let device = self.certificate.address();
        let publication = self.machine.handle(Input::Maintain, now, &mut self.rng).unwrap().publish.unwrap();
        let signed_prekey = publication.signed_prekey.unwrap();
        let kem_prekey = publication.last_resort_kem_prekey.unwrap();
        PrekeyBundle { device, signed_prekey, kem_prekey, one_time_prekey: None }
    }

    /// What the attacker reads of an envelope, who knows the devices of its sender.
    pub(crate) fn read(&mut self, sender: &DeviceList, envelope: &Envelope) -> Option<Vec<u8>> {
        let now = envelope.timestamp;
        self.machine.handle(Input::DeviceList(sender), now, &mut self.rng).unwrap();
        let open = Input::Open { envelope, policy: RoomPolicy::default() };
        let opened = self.machine.handle(open, now, &mut self.rng).ok()?.opened?;
        Some(opened.plaintext.to_vec())
    }
}
