//! The key of a client's local store, which a keystore holds.
//!
//! Each record is sealed with a key that is used once (`protocol::seal::one_use`), its name bound in as the context: 81
//! bytes longer. Names tell whom the user knows, so a store shows them as codes: HMAC-SHA-256 under a key derived
//! from the same secret, cut to 16 bytes.
//!
//! What an attacker who writes the file can still do: delete a record, or put back an older one of the same name.

use core::fmt;

use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::protocol::derive::{self, HmacKey};
use crate::protocol::public::{labels, limits};
use crate::protocol::seal::one_use::{self, Purpose};

/// A drawn key of 256 bits, under which a store seals its records.
pub struct StoreKey {
    secret: Zeroizing<[u8; StoreKey::LENGTH]>,
    names: HmacKey,
}

/// Why a record is not sealed or opened, or bytes are no store key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreKeyError {
    /// The caller's record is over [`limits::STORE_RECORD_BYTES_MAX`].
    #[error("a record is over its limit")]
    TooLong,
    /// Another key or name, or changed bytes.
    #[error("the record does not open")]
    Open,
    /// The key has another length.
    #[error("no store key")]
    Malformed,
}

impl StoreKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Draws a key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; Self::LENGTH]);
        rng.fill_bytes(&mut *secret);
        Self::from_secret(secret)
    }

    /// Reads what [`encode_secret`](Self::encode_secret) wrote; the caller wipes `bytes`.
    ///
    /// # Errors
    /// [`StoreKeyError::Malformed`] for another length.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreKeyError> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().map_err(|_| StoreKeyError::Malformed)?;
        Ok(Self::from_secret(Zeroizing::new(*bytes)))
    }

    fn from_secret(secret: Zeroizing<[u8; Self::LENGTH]>) -> Self {
        let names = HmacKey::new(&derive::hkdf(&[], &[&*secret], &[labels::STORE_NAME]));
        Self { secret, names }
    }

    /// The key itself, to be sealed in a keystore. Secret.
    #[must_use]
    pub fn encode_secret(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.secret.to_vec())
    }

    /// What stands for a name in the file: 16 bytes, the same each time.
    #[must_use]
    pub fn code(&self, name: &str) -> [u8; 16] {
        let mut code = [0; 16];
        let mac = self.names.mac(name.as_bytes());
        code.copy_from_slice(mac.split_at(16).0);
        code
    }

    /// Seals a record under its name.
    ///
    /// # Errors
    /// [`StoreKeyError::TooLong`].
    pub fn seal(&self, name: &[u8], record: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, StoreKeyError> {
        one_use::seal(&self.secret, purpose(name), record, rng).map_err(|_| StoreKeyError::TooLong)
    }

    /// Opens a record that was sealed under this name.
    ///
    /// # Errors
    /// [`StoreKeyError::Open`].
    pub fn open(&self, name: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreKeyError> {
        one_use::open(&self.secret, purpose(name), sealed).map_err(|_| StoreKeyError::Open)
    }
}

// Both parts wipe themselves.
impl ZeroizeOnDrop for StoreKey {}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

fn purpose(name: &[u8]) -> Purpose<'_> {
    Purpose { label: labels::STORE_RECORD, context: name, plaintext_bytes_max: limits::STORE_RECORD_BYTES_MAX }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_record_opens_under_its_key_and_name_alone() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let (key, other) = (StoreKey::generate(rng), StoreKey::generate(rng));
        let sealed = key.seal(b"contact/ada", b"a record", rng).unwrap();
        let again = StoreKey::decode(&key.encode_secret()).unwrap();
        assert_eq!(again.open(b"contact/ada", &sealed).unwrap().as_slice(), b"a record");
        assert_eq!(key.open(b"contact/bob", &sealed), Err(StoreKeyError::Open));
        assert_eq!(other.open(b"contact/ada", &sealed), Err(StoreKeyError::Open));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            *changed.get_mut(at).unwrap() ^= 1;
            assert_eq!(key.open(b"contact/ada", &changed), Err(StoreKeyError::Open));
        }
    }

    #[test]
    fn a_code_is_the_keys_own_and_shows_no_name() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        let (key, other) = (StoreKey::generate(rng), StoreKey::generate(rng));
        assert_eq!(key.code("a"), StoreKey::decode(&key.encode_secret()).unwrap().code("a"));
        assert_ne!(key.code("a"), key.code("b"));
        assert_ne!(key.code("a"), other.code("a"));
    }

    #[test]
    fn records_past_the_limit_are_refused_and_debug_shows_no_key() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        let key = StoreKey::generate(rng);
        let record = vec![0; limits::STORE_RECORD_BYTES_MAX];
        assert!(key.seal(b"x", &record, rng).is_ok());
        assert_eq!(key.seal(b"x", &[&record[..], &[0]].concat(), rng), Err(StoreKeyError::TooLong));
        assert_eq!(StoreKey::decode(&[0; 31]).map(|_| ()), Err(StoreKeyError::Malformed));
        assert_eq!(format!("{key:?}"), "StoreKey(..)");
    }
}
