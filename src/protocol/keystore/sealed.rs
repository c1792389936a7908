//! The sealed form of a keystore.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::argon2id::{SALT_LENGTH, stretch};
use super::{Argon2Parameters, KeystoreError, Passphrase};
use crate::protocol::public::{labels, limits};
use crate::protocol::seal::aead::TAG_LENGTH;
use crate::protocol::seal::one_use::{COMMITMENT_LENGTH, OneUseKey, Purpose};
use crate::wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;
pub(super) const HEADER_LENGTH: usize = 1 + 3 * 4 + SALT_LENGTH;

/// Seals `content`, at most [`limits::KEYSTORE_BYTES_MAX`] bytes, under a passphrase: 77 bytes are
/// added. It takes as long and as much memory as `parameters` say.
///
/// ```
/// use conclave::protocol::keystore::{Argon2Parameters, Passphrase, open_keystore, seal_keystore};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1);
/// let passphrase = Passphrase::new("correct horse battery staple".to_owned())?;
/// let keystore = seal_keystore(&passphrase, Argon2Parameters::default(), b"a secret", &mut rng)?;
/// assert_eq!(open_keystore(&passphrase, &keystore)?.as_slice(), b"a secret");
/// # Ok::<(), conclave::protocol::keystore::KeystoreError>(())
/// ```
///
/// # Errors
/// [`KeystoreError::TooLong`] past the limit, before any work; [`KeystoreError::OutOfMemory`].
pub fn seal_keystore(
    passphrase: &Passphrase,
    parameters: Argon2Parameters,
    content: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, KeystoreError> {
    let too_long = KeystoreError::TooLong { actual: content.len(), limit: limits::KEYSTORE_BYTES_MAX };
    if content.len() > limits::KEYSTORE_BYTES_MAX {
        return Err(too_long);
    }
    let mut salt = [0; SALT_LENGTH];
    rng.fill_bytes(&mut salt);
    let header = parameters.write(Writer::with_capacity(HEADER_LENGTH).u8(VERSION)).bytes(&salt).finish();
    let secret = stretch(passphrase, &salt, parameters)?;
    OneUseKey::derive(&salt, &secret, purpose(&header)).seal(&header, content).map_err(|_| too_long)
}

/// Opens a keystore; what it held is wiped when it is dropped.
///
/// # Errors
/// [`KeystoreError::Malformed`], [`KeystoreError::BelowFloor`] or [`KeystoreError::AboveCeiling`]
/// before any work; [`KeystoreError::OutOfMemory`]; [`KeystoreError::Open`] for a wrong passphrase
/// and for changed bytes alike.
pub fn open_keystore(passphrase: &Passphrase, keystore: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let Parts { parameters, salt, header, body } = parse(keystore)?;
    let secret = stretch(passphrase, salt, parameters)?;
    OneUseKey::derive(salt, &secret, purpose(header)).open(body).map_err(|_| KeystoreError::Open)
}

/// The parameters that a keystore names: so that one made with less than today's can be sealed anew
/// when it has been opened.
///
/// # Errors
/// As [`open_keystore`] before any work.
pub fn keystore_parameters(keystore: &[u8]) -> Result<Argon2Parameters, KeystoreError> {
    parse(keystore).map(|parts| parts.parameters)
}

struct Parts<'a> {
    parameters: Argon2Parameters,
    salt: &'a [u8; SALT_LENGTH],
    header: &'a [u8],
    body: &'a [u8],
}

fn parse(keystore: &[u8]) -> Result<Parts<'_>, KeystoreError> {
    let (header, body) = keystore.split_at_checked(HEADER_LENGTH).ok_or(WireError::Truncated)?;
    let mut reader = Reader::new(header);
    reader.version(VERSION)?;
    let parameters = Argon2Parameters::read(&mut reader)?;
    let salt = reader.array()?;
    match body.len().checked_sub(COMMITMENT_LENGTH + TAG_LENGTH) {
        None => Err(WireError::Truncated.into()),
        Some(length) if length > limits::KEYSTORE_BYTES_MAX => {
            Err(WireError::OverLimit { field: "keystore content", limit: limits::KEYSTORE_BYTES_MAX }.into())
        }
        Some(_) => Ok(Parts { parameters, salt, header, body }),
    }
}

pub(super) fn purpose(header: &[u8]) -> Purpose<'_> {
    Purpose { label: labels::KEYSTORE, context: header, plaintext_bytes_max: limits::KEYSTORE_BYTES_MAX }
}
