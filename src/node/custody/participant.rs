//! One member's keys in one room. Every secret is wiped when it is dropped, and none is ever answered.

use core::time::Duration;
use std::collections::BTreeMap;

use rand_core::CryptoRng;

use super::error::CustodyError;
use super::seats::Seat;
use crate::ids::{AccountId, DeviceAddress};
use crate::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use crate::protocol::public::signing_key_id;
use crate::protocol::secret::{AgreementSecretKey, SigningSecretKey};
use crate::protocol::session::PairwiseSession;
use crate::wire::{RoomKey, RoomKeyType, Timestamp};

/// A member whose keys the node holds, for the device that has asked for them.
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) device: DeviceAddress,
    pub(super) identity: Identity,
    /// None after they were revoked or have expired.
    pub(super) session_keys: Option<SessionKeys>,
    pub(super) seat: Seat,
}

/// The long-term keys.
#[derive(Debug)]
pub(super) struct Identity {
    /// Ed25519: certifies session keys, as an account's root certifies a device.
    root: AccountRoot,
    /// X25519: the identity key of `PQXDH`.
    agreement: AgreementSecretKey,
    pub(super) public: RoomKey,
}

/// The keys of a session, and what was agreed with them.
#[derive(Debug)]
pub(super) struct SessionKeys {
    /// Ed25519, which signs envelopes, and the identity's X25519; certified by the identity.
    pub(super) identity: DeviceIdentity,
    /// X25519: the signed prekey of `PQXDH`.
    pub(super) prekey: AgreementSecretKey,
    pub(super) public: RoomKey,
    /// With each other member.
    pub(super) sessions: BTreeMap<AccountId, Box<PairwiseSession>>,
}

impl Participant {
    /// A member's first keys.
    pub(super) fn new(device: DeviceAddress, identity: Identity, session_keys: SessionKeys, seat: Seat) -> Self {
        Self { device, identity, session_keys: Some(session_keys), seat }
    }

    /// The keys that count, public halves alone.
    pub(super) fn public_keys(&self) -> Vec<RoomKey> {
        let session_keys = self.session_keys.iter().map(|keys| keys.public);
        core::iter::once(self.identity.public).chain(session_keys).collect()
    }

    /// The keys to encrypt and decrypt with.
    ///
    /// # Errors
    /// [`CustodyError::NoKeys`] after they were revoked or have expired.
    pub(super) fn keys(&self) -> Result<&SessionKeys, CustodyError> {
        self.session_keys.as_ref().ok_or(CustodyError::NoKeys)
    }

    /// As [`keys`](Self::keys), to change what was agreed with them.
    pub(super) fn keys_mut(&mut self) -> Result<&mut SessionKeys, CustodyError> {
        self.session_keys.as_mut().ok_or(CustodyError::NoKeys)
    }
}

impl Identity {
    pub(super) fn generate(account: AccountId, age_max: Duration, now: Timestamp, rng: &mut impl CryptoRng) -> Self {
        let root = AccountRoot::generate(account, rng);
        let agreement = AgreementSecretKey::generate(rng);
        let public = RoomKey {
            user_id: account,
            key_id: signing_key_id(&root.public_key()),
            key_type: RoomKeyType::Identity,
            agreement_key: agreement.public_key().to_wire(),
            signing_key: root.public_key().to_wire(),
            created_at: now,
            expires_at: now.plus(age_max),
            revoked: false,
        };
        Self { root, agreement, public }
    }

    /// Makes session keys, and certifies them.
    pub(super) fn session_keys(
        &self,
        device: DeviceAddress,
        age_max: Duration,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<SessionKeys, CustodyError> {
        let signing = SigningSecretKey::generate(rng);
        let prekey = AgreementSecretKey::generate(rng);
        let public = RoomKey {
            user_id: device.account_id,
            key_id: signing_key_id(&signing.public_key()),
            key_type: RoomKeyType::Ephemeral,
            agreement_key: prekey.public_key().to_wire(),
            signing_key: signing.public_key().to_wire(),
            created_at: now,
            // What an identity certifies does not outlive it.
            expires_at: now.plus(age_max).min(self.public.expires_at),
            revoked: false,
        };
        let certificate = self.root.certify(device.device_id, &signing.public_key(), &self.agreement.public_key(), now);
        let identity = DeviceIdentity::new(DeviceKeys { signing, agreement: self.agreement.clone() }, &certificate)?;
        Ok(SessionKeys { identity, prekey, public, sessions: BTreeMap::new() })
    }
}
