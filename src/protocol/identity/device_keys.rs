//! The keys of a device that its account's root has not certified yet.

use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::protocol::secret::{AgreementSecretKey, SigningSecretKey};
use crate::wire::{Reader, WireError, Writer};

/// A device's secret identity keys, not yet certified.
///
/// A new device saves them, shows their public halves to a device that holds the account's root, and
/// loads them when its certificate comes:
///
/// ```
/// use conclave::ids::{AccountId, DeviceId};
/// use conclave::protocol::backup::AccountSecrets;
/// use conclave::protocol::identity::{DeviceIdentity, DeviceKeys};
/// use conclave::wire::Timestamp;
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1);
/// let keys = DeviceKeys::generate(&mut rng);
/// let (signing_key, agreement_key) = (keys.signing.public_key(), keys.agreement.public_key());
/// let saved = keys.save();
///
/// let secrets = AccountSecrets::generate(AccountId::generate(&mut rng), &mut rng);
/// let now = Timestamp::from_millis(1_800_000_000_000);
/// let certificate = secrets.root().certify(DeviceId::generate(&mut rng), &signing_key, &agreement_key, now);
///
/// let identity = DeviceIdentity::new(DeviceKeys::load(&saved)?, &certificate)?;
/// assert_eq!(identity.address(), certificate.address());
/// # Ok::<(), conclave::protocol::identity::IdentityError>(())
/// ```
#[derive(Debug)]
pub struct DeviceKeys {
    /// Ed25519: signs prekeys and envelopes.
    pub signing: SigningSecretKey,
    /// X25519: agrees in PQXDH.
    pub agreement: AgreementSecretKey,
}

impl DeviceKeys {
    /// Version of the saved form.
    const SAVED_VERSION: u8 = 1;

    /// Bytes of both secrets.
    pub(super) const SECRETS_LENGTH: usize = SigningSecretKey::LENGTH + AgreementSecretKey::LENGTH;

    /// Makes the keys of a new device.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self { signing: SigningSecretKey::generate(rng), agreement: AgreementSecretKey::generate(rng) }
    }

    /// The saved form: version 1, signing seed 32, agreement secret 32. Secret.
    #[must_use]
    pub fn save(&self) -> Zeroizing<Vec<u8>> {
        self.write(Writer::with_capacity(1 + Self::SECRETS_LENGTH).u8(Self::SAVED_VERSION)).finish_secret()
    }

    /// Reads the saved form; the caller wipes `saved`.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`], [`WireError::Truncated`] or [`WireError::Trailing`].
    pub fn load(saved: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let keys = Self::read(&mut reader)?;
        reader.end()?;
        Ok(keys)
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        let Self { signing, agreement } = self;
        writer.bytes(signing.seed()).bytes(agreement.secret_bytes())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            signing: SigningSecretKey::from_seed(reader.array()?),
            agreement: AgreementSecretKey::from_bytes(reader.array()?),
        })
    }
}

// Both keys wipe themselves.
impl ZeroizeOnDrop for DeviceKeys {}
