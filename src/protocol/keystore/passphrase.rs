//! A passphrase.

use core::fmt;

use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::KeystoreError;
use crate::protocol::public::limits;

/// What somebody types to open a keystore: 1 to 1,024 bytes, used as they are (no Unicode
/// normalisation). Wiped when dropped. How hard it is to guess is for the application to judge.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase; it is wiped also when it is refused.
    ///
    /// # Errors
    /// [`KeystoreError::PassphraseEmpty`], or [`KeystoreError::PassphraseTooLong`] past
    /// [`limits::PASSPHRASE_BYTES_MAX`].
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, KeystoreError> {
        let text = text.into();
        match text.len() {
            0 => Err(KeystoreError::PassphraseEmpty),
            1..=limits::PASSPHRASE_BYTES_MAX => Ok(Self(text)),
            actual => Err(KeystoreError::PassphraseTooLong { actual, limit: limits::PASSPHRASE_BYTES_MAX }),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

// `Zeroizing` wipes the text.
impl ZeroizeOnDrop for Passphrase {}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}
