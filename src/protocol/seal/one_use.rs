//! Sealing with a key that is used once: vault items, backups and, with a passphrase, keystores.
//!
//! From a long-term key and a fresh salt, HKDF-SHA-256 (RFC 5869) with `info = label ∥ context`
//! gives commitment 32 ∥ key 32 ∥ nonce 12. `ChaCha20-Poly1305` (RFC 8439) seals with that key and
//! nonce; its associated data is `label ∥ context` too.
//!
//! ```text
//! sealed = version 1 ∥ salt 32 ∥ commitment 32 ∥ ciphertext ∥ tag 16
//! ```
//!
//! - **The nonce is unique** because its key is: each sealing draws a salt of 256 bits, and
//!   [`OneUseKey::seal`] consumes the key that comes of it. Two sealings share a key only if their
//!   salts collide *and* their contexts are equal.
//! - **A ciphertext opens under one key only.** Poly1305 alone does not give that: a ciphertext can
//!   be made that is authentic under many keys, and opening it then tests many guesses at once
//!   (Len, Grubbs, Ristenpart, "Partitioning Oracle Attacks", USENIX Security 2021). The commitment
//!   is the first block of HKDF's output, which collides for two keys or contexts only if
//!   HMAC-SHA-256 does. It is compared, in constant time, before anything is opened.
//! - Labels are prefix-free and each context is an unambiguous encoding, so `label ∥ context` names
//!   one purpose.
//!
//! What an attacker can still do: see lengths (callers pad where that matters), and put back an
//! older ciphertext of the same context (callers bind a version and compare it).
//!
//! Secret intermediates are wiped. HKDF leaves its last output block in a local of the library
//! (`protocol::derive`): that is the nonce, which is why it stands last.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::aead::{self, TAG_LENGTH};
use crate::protocol::derive;
use crate::protocol::public::limits;
use crate::wire::{Reader, WireError, Writer};

/// The version byte of the sealed form.
pub(in crate::protocol) const VERSION: u8 = 1;

/// Length of the commitment in bytes.
pub(in crate::protocol) const COMMITMENT_LENGTH: usize = 32;

const SALT_LENGTH: usize = 32;

const _: () = assert!(limits::ONE_USE_OVERHEAD_BYTES == 1 + SALT_LENGTH + COMMITMENT_LENGTH + TAG_LENGTH);

/// What something is sealed for. The same purpose opens it, and no other.
#[derive(Clone, Copy)]
pub(in crate::protocol) struct Purpose<'a> {
    /// The label of the kind of thing.
    pub(in crate::protocol) label: &'static [u8],
    /// Which one of its kind: an encoding that no other one has.
    pub(in crate::protocol) context: &'a [u8],
    /// Bytes of the longest plaintext.
    pub(in crate::protocol) plaintext_bytes_max: usize,
}

impl Purpose<'_> {
    fn bytes(&self) -> Vec<u8> {
        Writer::with_capacity(self.label.len() + self.context.len()).bytes(self.label).bytes(self.context).finish()
    }
}

/// The plaintext is over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct TooLong {
    /// Bytes that were given.
    pub(in crate::protocol) actual: usize,
    /// Bytes that a plaintext may have.
    pub(in crate::protocol) limit: usize,
}

/// Not authentic: a wrong key, another purpose and a changed byte look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct OpenError;

/// Seals `plaintext` under a long-term key: 81 bytes longer than the plaintext.
///
/// # Errors
/// [`TooLong`] past the purpose's limit.
pub(in crate::protocol) fn seal(
    key: &[u8; 32],
    purpose: Purpose<'_>,
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, TooLong> {
    let mut salt = [0; SALT_LENGTH];
    rng.fill_bytes(&mut salt);
    let header = Writer::with_capacity(1 + SALT_LENGTH).u8(VERSION).bytes(&salt).finish();
    OneUseKey::derive(&salt, key, purpose).seal(&header, plaintext)
}

/// Opens what [`seal`] made with the same key and purpose.
///
/// # Errors
/// [`OpenError`] for everything else, malformed bytes included ([`check_form`] says what is wrong
/// with those).
pub(in crate::protocol) fn open(
    key: &[u8; 32],
    purpose: Purpose<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let mut reader = Reader::new(sealed);
    reader.version(VERSION).map_err(|_| OpenError)?;
    let salt: &[u8; SALT_LENGTH] = reader.array().map_err(|_| OpenError)?;
    OneUseKey::derive(salt, key, purpose).open(reader.rest())
}

/// Checks what can be seen without a key: the version, and that the length is possible.
///
/// # Errors
/// [`WireError::UnknownVersion`], [`WireError::Truncated`], or [`WireError::OverLimit`] naming `field`.
pub(in crate::protocol) fn check_form(
    sealed: &[u8],
    field: &'static str,
    sealed_bytes_max: usize,
) -> Result<(), WireError> {
    Reader::new(sealed).version(VERSION)?;
    if sealed.len() < limits::ONE_USE_OVERHEAD_BYTES {
        return Err(WireError::Truncated);
    }
    if sealed.len() > sealed_bytes_max {
        return Err(WireError::OverLimit { field, limit: sealed_bytes_max });
    }
    Ok(())
}

/// The key of one sealing.
pub(in crate::protocol) struct OneUseKey {
    key: Zeroizing<[u8; 32]>,
    nonce: [u8; 12],
    commitment: [u8; COMMITMENT_LENGTH],
    associated_data: Vec<u8>,
    plaintext_bytes_max: usize,
}

impl OneUseKey {
    /// Derives the key. To seal, `salt` must be fresh, or `secret` be derived from what is.
    pub(in crate::protocol) fn derive(salt: &[u8], secret: &[u8; 32], purpose: Purpose<'_>) -> Self {
        let okm: Zeroizing<[u8; COMMITMENT_LENGTH + 32 + 12]> =
            derive::hkdf(salt, &[secret], &[purpose.label, purpose.context]);
        let mut this = Self {
            key: Zeroizing::new([0; 32]),
            nonce: [0; 12],
            commitment: [0; COMMITMENT_LENGTH],
            associated_data: purpose.bytes(),
            plaintext_bytes_max: purpose.plaintext_bytes_max,
        };
        let (commitment, rest) = okm.split_at(COMMITMENT_LENGTH);
        let (key, nonce) = rest.split_at(32);
        this.commitment.copy_from_slice(commitment);
        this.key.copy_from_slice(key);
        this.nonce.copy_from_slice(nonce);
        this
    }

    /// Seals, and uses the key up: `header ∥ commitment 32 ∥ ciphertext ∥ tag 16`.
    ///
    /// # Errors
    /// [`TooLong`] past the purpose's limit.
    pub(in crate::protocol) fn seal(self, header: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, TooLong> {
        let too_long = TooLong { actual: plaintext.len(), limit: self.plaintext_bytes_max };
        if too_long.actual > too_long.limit {
            return Err(too_long);
        }
        // With room for the tag, so that the plaintext is encrypted where it lies and never moved.
        let mut sealed = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG_LENGTH));
        sealed.extend_from_slice(plaintext);
        aead::seal_in_place(&self.key, &self.nonce, &self.associated_data, &mut sealed).map_err(|_| too_long)?;
        Ok([header, &self.commitment, sealed.as_slice()].concat())
    }

    /// Opens `commitment 32 ∥ ciphertext ∥ tag 16`.
    ///
    /// # Errors
    /// [`OpenError`] if the commitment is not this key's or the tag does not hold.
    pub(in crate::protocol) fn open(self, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (commitment, rest) = body.split_first_chunk::<COMMITMENT_LENGTH>().ok_or(OpenError)?;
        if !bool::from(commitment.ct_eq(&self.commitment)) {
            return Err(OpenError);
        }
        if rest.len() > self.plaintext_bytes_max + TAG_LENGTH {
            return Err(OpenError);
        }
        let mut plaintext = Zeroizing::new(rest.to_vec());
        aead::open_in_place(&self.key, &self.nonce, &self.associated_data, &mut plaintext).map_err(|_| OpenError)?;
        Ok(plaintext)
    }
}

// The key wipes itself; nonce, commitment and associated data open nothing without it.
impl ZeroizeOnDrop for OneUseKey {}

impl core::fmt::Debug for OneUseKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("OneUseKey(..)")
    }
}

#[cfg(test)]
mod tests;
