//! A publication whose every key and signature has been checked: the only one that the store takes.

use crate::ids::DeviceAddress;
use crate::protocol::public::{SigningPublicKey, VerifiedDevice, VerifyError, verify_prekey_publication};
use crate::wire::PrekeyPublication;

/// Prekeys of a device, each checked as those who claim them will check it.
#[derive(Clone, Debug)]
pub struct VerifiedPublication {
    device: DeviceAddress,
    signing_key: SigningPublicKey,
    publication: PrekeyPublication,
}

impl VerifiedPublication {
    /// Checks every key and signature, by the device that they are to belong to.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(publication: PrekeyPublication, device: &VerifiedDevice) -> Result<Self, VerifyError> {
        verify_prekey_publication(&publication, device)?;
        Ok(Self { device: device.address(), signing_key: device.signing_key().clone(), publication })
    }

    /// The device that published it.
    #[must_use]
    pub const fn device(&self) -> DeviceAddress {
        self.device
    }

    /// The key that its signatures were checked against.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningPublicKey {
        &self.signing_key
    }

    /// The prekeys.
    #[must_use]
    pub const fn publication(&self) -> &PrekeyPublication {
        &self.publication
    }
}
