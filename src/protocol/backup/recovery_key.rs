//! A recovery key and its written form.
//!
//! Written, it is 56 characters in 14 groups of 4, joined by `-`: Crockford's base32
//! (<https://www.crockford.com/base32.html>) of 35 bytes, the key and the first 3 bytes of SHA-256
//! over label and key. 280 bits are exactly 56 characters, so no bit is left over and no padding
//! needed. One wrong character always shows, as does any other typing error but one in 16 million.
//!
//! Read, case does not matter; `O` is `0`, `I` and `L` are `1`; white space and hyphens are skipped.

use core::fmt;

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::RecoveryKeyError;
use crate::protocol::public::labels;

/// A key of 256 bits that opens an account's backup; drawn by the program, kept on paper.
pub struct RecoveryKey(Zeroizing<[u8; KEY_BYTES]>);

impl RecoveryKey {
    /// Characters of the written form, without its hyphens.
    pub const CHARACTERS: usize = WRITTEN_BYTES * 8 / 5;

    /// Draws a new key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rng.fill_bytes(&mut *key);
        Self(key)
    }

    /// Reads a key that was written down; the caller wipes `text`.
    ///
    /// # Errors
    /// [`RecoveryKeyError`]: what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, RecoveryKeyError> {
        let written = decode(text)?;
        let (key, checksum_given) = written.split_first_chunk().ok_or(RecoveryKeyError::Checksum)?;
        if !bool::from(checksum(key).ct_eq(checksum_given)) {
            return Err(RecoveryKeyError::Checksum);
        }
        Ok(Self(Zeroizing::new(*key)))
    }

    /// The written form: the secret itself, to be shown once. Wiped when it is dropped.
    ///
    /// ```
    /// use conclave::protocol::backup::{RecoveryKey, RecoveryKeyError};
    /// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    /// # let mut rng = ChaCha20Rng::seed_from_u64(1);
    /// let key = RecoveryKey::generate(&mut rng);
    /// let written = key.to_written();
    /// assert_eq!(written.len(), 14 * 4 + 13);
    /// assert!(RecoveryKey::parse(&written.to_lowercase().replace('-', " "))? == key);
    /// # Ok::<(), RecoveryKeyError>(())
    /// ```
    #[must_use]
    pub fn to_written(&self) -> Zeroizing<String> {
        let mut written = Zeroizing::new([0; WRITTEN_BYTES]);
        let (key, checksum_place) = written.split_at_mut(KEY_BYTES);
        key.copy_from_slice(self.as_bytes());
        checksum_place.copy_from_slice(&*checksum(self.as_bytes()));
        encode(&written)
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

// `Zeroizing` wipes the key.
impl ZeroizeOnDrop for RecoveryKey {}

impl PartialEq for RecoveryKey {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.0.ct_eq(&*other.0))
    }
}

impl Eq for RecoveryKey {}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

fn checksum(key: &[u8; KEY_BYTES]) -> Zeroizing<[u8; CHECKSUM_BYTES]> {
    let mut digest = Sha256::new().chain_update(labels::RECOVERY_CHECKSUM).chain_update(key).finalize();
    let mut checksum = Zeroizing::new([0; CHECKSUM_BYTES]);
    let (start, _) = digest.split_at(CHECKSUM_BYTES);
    checksum.copy_from_slice(start);
    digest.as_mut_slice().zeroize();
    checksum
}

/// Writes base32, most significant bits first, in groups of four.
fn encode(written: &[u8; WRITTEN_BYTES]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(RecoveryKey::CHARACTERS / 4 * 5));
    for (group_index, group) in written.chunks(5).enumerate() {
        // Five bytes are eight characters: two groups.
        let bits = Zeroizing::new(group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)));
        for index in 0..8_usize {
            if index % 4 == 0 && (group_index, index) != (0, 0) {
                text.push('-');
            }
            let symbol = (*bits >> (35 - 5 * index)) & 31;
            text.extend(ALPHABET.get(usize::try_from(symbol).unwrap_or_default()).map(|byte| char::from(*byte)));
        }
    }
    text
}

fn decode(text: &str) -> Result<Zeroizing<[u8; WRITTEN_BYTES]>, RecoveryKeyError> {
    let mut symbols = Zeroizing::new([0_u8; RecoveryKey::CHARACTERS]);
    let mut actual = 0;
    for (index, character) in text.chars().enumerate() {
        if character == '-' || character.is_whitespace() {
            continue;
        }
        let symbol = symbol(character).ok_or(RecoveryKeyError::Character { position: index + 1 })?;
        if let Some(slot) = symbols.get_mut(actual) {
            *slot = symbol;
        }
        actual += 1;
    }
    if actual != RecoveryKey::CHARACTERS {
        return Err(RecoveryKeyError::Length { expected: RecoveryKey::CHARACTERS, actual });
    }
    let mut written = Zeroizing::new([0; WRITTEN_BYTES]);
    // Eight characters are 40 bits: the last five of a `u64`'s bytes.
    for (bytes, group) in written.as_chunks_mut().0.iter_mut().zip(symbols.as_chunks::<8>().0) {
        let bits = Zeroizing::new(group.iter().fold(0_u64, |bits, symbol| bits << 5 | u64::from(*symbol)));
        let group_bytes = Zeroizing::new(bits.to_be_bytes());
        let [_, _, _, five_bytes @ ..] = &*group_bytes;
        *bytes = *five_bytes;
    }
    Ok(written)
}

/// The value of a character as people write it.
fn symbol(character: char) -> Option<u8> {
    let letter = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let index = ALPHABET.iter().position(|symbol| char::from(*symbol) == letter)?;
    u8::try_from(index).ok()
}

const KEY_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 3;
const WRITTEN_BYTES: usize = KEY_BYTES + CHECKSUM_BYTES;

const _: () = assert!(WRITTEN_BYTES.is_multiple_of(5), "the written form would have bits left over");

/// Crockford's base32: no `I`, `L`, `O` or `U`.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
