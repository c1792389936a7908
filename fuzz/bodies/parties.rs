//! Two parties with fixed keys, and what they have published: the genuine article, which nothing
//! that a target makes up may be taken for.

use std::sync::OnceLock;

use conclave::ids::{AccountId, DeviceId, KeyId};
use conclave::protocol::agreement::ResponderPrekeys;
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::public::{
    VerifiedPrekeyBundle, agreement_key_id, kem_key_id, kem_prekey_signed_bytes, signed_prekey_signed_bytes,
    verify_prekey_bundle,
};
use conclave::protocol::secret::{AgreementSecretKey, KemSecretKey};
use conclave::protocol::session::MessageContext;
use conclave::wire::{
    Bytes, Destination, DeviceList, KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyBundle, PrekeyPublication,
    SignedPrekey,
};

use super::support::{POLICY, ROOM, START, rng};

/// Where the messages of sessions are sealed for.
pub const CONTEXT: MessageContext = MessageContext { destination: Destination::Room(ROOM), policy: POLICY };

/// A device with its account and its prekeys.
pub struct Party {
    pub root: AccountRoot,
    pub identity: DeviceIdentity,
    pub list: DeviceList,
    pub signed_prekey: AgreementSecretKey,
    pub one_time_prekey: AgreementSecretKey,
    pub one_time_kem_prekey: KemSecretKey,
    pub publication: PrekeyPublication,
}

impl Party {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        let root = AccountRoot::generate(AccountId::generate(&mut rng), &mut rng);
        let keys = DeviceKeys::generate(&mut rng);
        let device_id = DeviceId::generate(&mut rng);
        let certificate = root.certify(device_id, &keys.signing.public_key(), &keys.agreement.public_key(), START);
        let list = root.sign_device_list(1, vec![certificate.clone()]);
        let identity = DeviceIdentity::new(keys, &certificate).unwrap();
        let [signed_prekey, one_time_prekey] = [(); 2].map(|()| AgreementSecretKey::generate(&mut rng));
        let [one_time_kem_prekey, last_resort_kem_prekey] = [(); 2].map(|()| KemSecretKey::generate(&mut rng));
        let publication = PrekeyPublication {
            signed_prekey: Some(publish_signed(&identity, &signed_prekey)),
            last_resort_kem_prekey: Some(publish_kem(&identity, &last_resort_kem_prekey, KemPrekeyUse::LastResort)),
            one_time_prekeys: vec![publish_one_time(&one_time_prekey)],
            one_time_kem_prekeys: vec![publish_kem(&identity, &one_time_kem_prekey, KemPrekeyUse::OneTime)],
        };
        Self { root, identity, list, signed_prekey, one_time_prekey, one_time_kem_prekey, publication }
    }

    /// The bundle that the node hands out first.
    pub fn bundle(&self) -> PrekeyBundle {
        let PrekeyPublication { signed_prekey, one_time_prekeys, one_time_kem_prekeys, .. } = self.publication.clone();
        PrekeyBundle {
            device: self.identity.address(),
            signed_prekey: signed_prekey.unwrap(),
            kem_prekey: one_time_kem_prekeys[0].clone(),
            one_time_prekey: one_time_prekeys.into_iter().next(),
        }
    }

    /// The same, verified.
    pub fn verified_bundle(&self) -> VerifiedPrekeyBundle {
        verify_prekey_bundle(&self.bundle(), self.identity.device()).unwrap()
    }

    /// The secrets that answer an opening; the one-time prekey only if the opening names one.
    pub fn prekeys_for(&self, one_time_prekey_id: Option<KeyId>) -> ResponderPrekeys<'_> {
        ResponderPrekeys {
            signed_prekey: &self.signed_prekey,
            one_time_prekey: one_time_prekey_id.map(|_| &self.one_time_prekey),
            kem_prekey: &self.one_time_kem_prekey,
        }
    }
}

/// Who starts.
pub fn alice() -> &'static Party {
    static ALICE: OnceLock<Party> = OnceLock::new();
    ALICE.get_or_init(|| Party::new(1))
}

/// Who answers.
pub fn bob() -> &'static Party {
    static BOB: OnceLock<Party> = OnceLock::new();
    BOB.get_or_init(|| Party::new(2))
}

fn publish_signed(identity: &DeviceIdentity, key: &AgreementSecretKey) -> SignedPrekey {
    let public_key = key.public_key().to_wire();
    let message = signed_prekey_signed_bytes(identity.address(), &public_key, START);
    SignedPrekey {
        key_id: agreement_key_id(&key.public_key()),
        public_key,
        created_at: START,
        signature: identity.keys().signing.sign(&message),
    }
}

fn publish_one_time(key: &AgreementSecretKey) -> OneTimePrekey {
    OneTimePrekey { key_id: agreement_key_id(&key.public_key()), public_key: key.public_key().to_wire() }
}

fn publish_kem(identity: &DeviceIdentity, key: &KemSecretKey, usage: KemPrekeyUse) -> KemPrekey {
    let public_key: Box<Bytes<1568>> = key.public_key().to_wire();
    let message = kem_prekey_signed_bytes(identity.address(), usage, &public_key, START);
    KemPrekey {
        key_id: kem_key_id(&key.public_key()),
        usage,
        public_key,
        created_at: START,
        signature: identity.keys().signing.sign(&message),
    }
}
