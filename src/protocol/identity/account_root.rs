//! The root key of an account.

use rand_core::CryptoRng;
use zeroize::ZeroizeOnDrop;

use crate::ids::{AccountId, DeviceId};
use crate::protocol::public::{AgreementPublicKey, SigningPublicKey, certificate_signed_bytes, list_signed_bytes};
use crate::protocol::secret::SigningSecretKey;
use crate::wire::{Bytes, DeviceCertificate, DeviceList, Timestamp};

/// An account's root key: it says which devices are the account's.
///
/// It is saved and backed up as a part of [`AccountSecrets`](crate::protocol::backup::AccountSecrets),
/// which takes it or draws it.
#[derive(Debug)]
pub struct AccountRoot {
    account_id: AccountId,
    key: SigningSecretKey,
}

impl AccountRoot {
    /// Makes the root of an account that has none.
    #[must_use]
    pub fn generate(account_id: AccountId, rng: &mut impl CryptoRng) -> Self {
        Self { account_id, key: SigningSecretKey::generate(rng) }
    }

    /// Takes a root key that was saved or restored.
    #[must_use]
    pub const fn from_key(account_id: AccountId, key: SigningSecretKey) -> Self {
        Self { account_id, key }
    }

    /// The account.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// The public root key: what other accounts pin, and what safety numbers are made of.
    #[must_use]
    pub fn public_key(&self) -> SigningPublicKey {
        self.key.public_key()
    }

    /// The secret key's seed, for sealed storage and backups.
    pub(in crate::protocol) fn seed(&self) -> &[u8; 32] {
        self.key.seed()
    }

    /// Certifies a device's keys as this account's.
    #[must_use]
    pub fn certify(
        &self,
        device_id: DeviceId,
        signing_key: &SigningPublicKey,
        agreement_key: &AgreementPublicKey,
        now: Timestamp,
    ) -> DeviceCertificate {
        let mut certificate = DeviceCertificate {
            account_id: self.account_id,
            root_key: self.public_key().to_wire(),
            device_id,
            signing_key: signing_key.to_wire(),
            agreement_key: agreement_key.to_wire(),
            created_at: now,
            signature: Bytes([0; 64]),
        };
        certificate.signature = self.key.sign(&certificate_signed_bytes(&certificate));
        certificate
    }

    /// Signs the list of the account's devices. `version` is above that of every list before it.
    #[must_use]
    pub fn sign_device_list(&self, version: u64, mut devices: Vec<DeviceCertificate>) -> DeviceList {
        devices.sort_by_key(|device| device.device_id);
        let mut list = DeviceList {
            account_id: self.account_id,
            root_key: self.public_key().to_wire(),
            version,
            devices,
            signature: Bytes([0; 64]),
        };
        list.signature = self.key.sign(&list_signed_bytes(&list));
        list
    }
}

// The key wipes itself; the account's id is public.
impl ZeroizeOnDrop for AccountRoot {}
