//! The keys of this device, before and after the account's root has certified them.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::ids::DeviceAddress;
use crate::protocol::public::{VerifiedDevice, VerifyError, verify_device};
use crate::protocol::secret::{AgreementSecretKey, SigningSecretKey};
use crate::wire::{DeviceCertificate, Reader, WireError, Writer};

/// A device's secret identity keys, not yet certified.
#[derive(Debug)]
pub struct DeviceKeys {
    /// Ed25519: signs prekeys and envelopes.
    pub signing: SigningSecretKey,
    /// X25519: agrees in PQXDH.
    pub agreement: AgreementSecretKey,
}

impl DeviceKeys {
    /// Makes the keys of a new device.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self { signing: SigningSecretKey::generate(rng), agreement: AgreementSecretKey::generate(rng) }
    }
}

/// Why keys and a certificate make no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate does not hold.
    #[error(transparent)]
    Certificate(#[from] VerifyError),
    /// The certificate is for other keys than these.
    #[error("the certificate is for other keys")]
    OtherKeys,
    /// The saved form is malformed.
    #[error("the saved identity is malformed: {0}")]
    Saved(#[from] WireError),
}

/// This device: its secret keys and the certificate that makes them the account's.
#[derive(Debug)]
pub struct DeviceIdentity {
    device: VerifiedDevice,
    keys: DeviceKeys,
}

impl DeviceIdentity {
    /// Version of the saved form.
    const SAVED_VERSION: u8 = 1;

    /// Joins keys with their certificate.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] if it does not hold, [`IdentityError::OtherKeys`] if it is for other keys.
    pub fn new(keys: DeviceKeys, certificate: &DeviceCertificate) -> Result<Self, IdentityError> {
        let device = verify_device(certificate)?;
        let is_ours = *device.signing_key() == keys.signing.public_key()
            && device.agreement_key().as_bytes() == keys.agreement.public_bytes();
        if is_ours { Ok(Self { device, keys }) } else { Err(IdentityError::OtherKeys) }
    }

    /// Whose device it is, and which.
    #[must_use]
    pub const fn address(&self) -> DeviceAddress {
        self.device.address()
    }

    /// The public side: what others see of this device.
    #[must_use]
    pub const fn device(&self) -> &VerifiedDevice {
        &self.device
    }

    /// The secret keys.
    #[must_use]
    pub const fn keys(&self) -> &DeviceKeys {
        &self.keys
    }

    /// The saved form: version 1, signing seed 32, agreement secret 32, certificate 200. Secret.
    #[must_use]
    pub fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { device, keys: DeviceKeys { signing, agreement } } = self;
        let writer = Writer::with_capacity(1 + 32 + 32 + DeviceCertificate::LENGTH)
            .u8(Self::SAVED_VERSION)
            .bytes(signing.seed())
            .bytes(agreement.secret_bytes());
        device.certificate().write(writer).finish_secret()
    }

    /// Reads the saved form.
    ///
    /// # Errors
    /// [`IdentityError`], as for [`new`](Self::new), and [`IdentityError::Saved`] for malformed bytes.
    pub fn load(saved: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let keys = DeviceKeys {
            signing: SigningSecretKey::from_seed(reader.array()?),
            agreement: AgreementSecretKey::from_bytes(reader.array()?),
        };
        let certificate = DeviceCertificate::read(&mut reader)?;
        reader.end()?;
        Self::new(keys, &certificate)
    }
}
