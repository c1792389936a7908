//! Chain keys: the symmetric ratchet.

use crate::protocol::derive::HmacKey;
use crate::protocol::public::labels;
use crate::protocol::secret::symmetric_key;

use super::message_key::MessageKey;

symmetric_key! {
    /// The state of a sending or receiving chain (`CK`).
    pub ChainKey
}

impl ChainKey {
    /// One step: the key of the next message, and the chain key after it (`KDF_CK`).
    pub(super) fn step(&self) -> (MessageKey, Self) {
        let key = HmacKey::new(self.as_bytes());
        (MessageKey::from_bytes(&key.mac(labels::RATCHET_MESSAGE)), Self::from_bytes(&key.mac(labels::RATCHET_CHAIN)))
    }
}
