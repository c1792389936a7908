//! This device as its account's root has certified it.

use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{DeviceKeys, IdentityError};
use crate::ids::{DeviceAddress, SessionId};
use crate::protocol::public::{SignatureBytes, VerifiedDevice, device_proof_signed_bytes, verify_device};
use crate::wire::{DeviceCertificate, Reader, Writer};

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

    /// Says that a session on a node is this device's: its signature over the session's id.
    #[must_use]
    pub fn prove_session(&self, session: SessionId) -> SignatureBytes {
        self.keys.signing.sign(&device_proof_signed_bytes(session, self.address()))
    }

    /// The saved form: version 1, signing seed 32, agreement secret 32, certificate 200. Secret.
    #[must_use]
    pub fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { device, keys } = self;
        let capacity = 1 + DeviceKeys::SECRETS_LENGTH + DeviceCertificate::LENGTH;
        let writer = keys.write(Writer::with_capacity(capacity).u8(Self::SAVED_VERSION));
        device.certificate().write(writer).finish_secret()
    }

    /// Reads the saved form.
    ///
    /// # Errors
    /// [`IdentityError`], as for [`new`](Self::new), and [`IdentityError::Saved`] for malformed bytes.
    pub fn load(saved: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let keys = DeviceKeys::read(&mut reader)?;
        let certificate = DeviceCertificate::read(&mut reader)?;
        reader.end()?;
        Self::new(keys, &certificate)
    }
}

// The keys wipe themselves; the certificate is public.
impl ZeroizeOnDrop for DeviceIdentity {}
