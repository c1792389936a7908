//! The AEAD: ChaCha20-Poly1305 (RFC 8439, section 2.8), in place. The one module that names it.
//!
//! Key 32 bytes, nonce 12 bytes, tag 16 bytes after the ciphertext, never shortened. At most
//! 2^38 - 64 bytes under one key and nonce. That a key and nonce never meet two plaintexts is for the
//! caller to argue; nothing here can see it.
//!
//! The tag is checked before a byte is decrypted. Key, one-time key, cipher state and authenticator
//! are wiped when a call ends.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use zeroize::Zeroize;

/// Length of the tag in bytes.
pub(in crate::protocol) const TAG_LENGTH: usize = 16;

/// Why nothing was sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::protocol) enum AeadError {
    /// More than the cipher's block counter covers under one nonce.
    #[error("the plaintext is too long for one nonce")]
    TooLong,
    /// Another key, nonce, associated data or ciphertext, or no room for a tag: one error for all.
    #[error("not authentic")]
    NotAuthentic,
}

/// Encrypts `buffer` where it lies and appends the tag.
///
/// With room for [`TAG_LENGTH`] more bytes, nothing is allocated; without it, only ciphertext moves.
///
/// # Errors
/// [`AeadError::TooLong`] from 2^38 - 64 bytes on; `buffer` is as it was.
pub(in crate::protocol) fn seal_in_place(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), AeadError> {
    ChaCha20Poly1305::new(key.into())
        .encrypt_in_place(nonce.into(), aad, buffer)
        .map_err(|chacha20poly1305::Error| AeadError::TooLong)
}

/// Checks the tag at the end of `buffer`, decrypts what stands before it where it lies, and cuts the
/// tag off.
///
/// # Errors
/// [`AeadError::NotAuthentic`] if the tag does not hold; `buffer` is wiped and empty then, so that
/// nothing unverified can be read from it.
pub(in crate::protocol) fn open_in_place(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), AeadError> {
    let opened = ChaCha20Poly1305::new(key.into()).decrypt_in_place(nonce.into(), aad, buffer);
    opened.map_err(|chacha20poly1305::Error| {
        buffer.zeroize();
        AeadError::NotAuthentic
    })
}

#[cfg(test)]
mod tests;
