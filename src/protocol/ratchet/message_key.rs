//! Message keys: each seals one message, or opens it.
//!
//! The AEAD key and its nonce both come from the message key. A message key belongs to one place in
//! one chain, and a chain that has sealed is replaced by the one after it (`SendingChain::seal`), so no
//! nonce is used twice with a key. That rests on the store: a client that goes back to an older saved
//! state and sends from it seals under the same key again.

use zeroize::Zeroizing;

use super::error::RatchetError;
use crate::protocol::derive;
use crate::protocol::public::{labels, limits};
use crate::protocol::seal::{aead, padding};
use crate::protocol::secret::symmetric_key;

/// Stands for the key of a post-quantum ratchet, which will come into this place.
const NO_POST_QUANTUM_KEY: [u8; 32] = [0; 32];

symmetric_key! {
    /// The key of one message (`MK`).
    pub MessageKey
}

impl MessageKey {
    /// Pads and seals `plaintext`; what comes back is longer by the padding and the tag of 16 bytes.
    pub(super) fn seal(&self, associated_data: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, RatchetError> {
        let mut buffer =
            padding::pad(plaintext, limits::MESSAGE_PADDED_BYTES_MAX).map_err(|_| RatchetError::TooLong)?;
        let AeadInput { key, nonce } = self.aead_input();
        aead::seal_in_place(&key, &nonce, associated_data, &mut buffer).map_err(|_| RatchetError::TooLong)?;
        Ok(core::mem::take(&mut *buffer))
    }

    /// Opens `ciphertext` and takes the padding off.
    pub(super) fn open(&self, associated_data: &[u8], ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, RatchetError> {
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let AeadInput { key, nonce } = self.aead_input();
        aead::open_in_place(&key, &nonce, associated_data, &mut buffer).map_err(|_| RatchetError::Open)?;
        padding::unpad(&mut buffer).map_err(|_| RatchetError::Open)?;
        Ok(buffer)
    }

    pub(super) fn aead_input(&self) -> AeadInput {
        let okm: Zeroizing<[u8; 44]> = derive::hkdf(&NO_POST_QUANTUM_KEY, &[self.as_bytes()], &[labels::RATCHET_SEAL]);
        let mut input = AeadInput { key: Zeroizing::new([0; 32]), nonce: Zeroizing::new([0; 12]) };
        let (key, nonce) = okm.split_at(32);
        input.key.copy_from_slice(key);
        input.nonce.copy_from_slice(nonce);
        input
    }
}

pub(super) struct AeadInput {
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) nonce: Zeroizing<[u8; 12]>,
}
