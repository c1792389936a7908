//! Root keys: where each new agreement enters.

use zeroize::Zeroizing;

use super::chain_key::ChainKey;
use crate::protocol::derive;
use crate::protocol::public::labels;
use crate::protocol::secret::{SharedSecret, symmetric_key};

symmetric_key! {
    /// The state that all chains of a session come from (`RK`).
    pub RootKey
}

impl RootKey {
    /// The next root key and a chain key, from a new agreement (`KDF_RK`).
    pub(super) fn step(&self, shared: &SharedSecret) -> (Self, ChainKey) {
        let okm: Zeroizing<[u8; 64]> = derive::hkdf(self.as_bytes(), &[shared.as_bytes()], &[labels::RATCHET_ROOT]);
        let mut keys = Zeroizing::new([[0; 32]; 2]);
        keys.as_flattened_mut().copy_from_slice(&*okm);
        let [root_key, chain_key] = &*keys;
        (Self::from_bytes(root_key), ChainKey::from_bytes(chain_key))
    }
}
