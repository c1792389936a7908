//! Root keys: where each new agreement enters.

use zeroize::Zeroizing;

use super::chain_key::ChainKey;
use crate::protocol::derive;
use crate::protocol::public::labels;
use crate::protocol::secret::{SharedSecret, symmetric_key};

symmetric_key! {
    /// The state that all chains of a session come from (`RK`).
    RootKey
}

impl RootKey {
    /// The next root key and a chain key, from a new agreement (`KDF_RK`).
    pub(super) fn step(&self, shared: &SharedSecret) -> (Self, ChainKey) {
        let okm: Zeroizing<[u8; 64]> = derive::hkdf(self.as_bytes(), &[shared.as_bytes()], &[labels::RATCHET_ROOT]);
        let mut root_key = Self::from_bytes(&[0; 32]);
        let mut chain_key = ChainKey::from_bytes(&[0; 32]);
        let (root, chain) = okm.split_at(32);
        root_key.as_mut_bytes().copy_from_slice(root);
        chain_key.as_mut_bytes().copy_from_slice(chain);
        (root_key, chain_key)
    }
}
