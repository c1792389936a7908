//! A publication whose every key and signature has been checked: the only one that the store takes.

use crate::ids::DeviceAddress;
use crate::protocol::public::{
    SigningPublicKey, VerifiedDevice, VerifyError, check_one_time_prekey, verify_kem_prekey, verify_signed_prekey,
};
use crate::wire::{KemPrekey, KemPrekeyUse, PrekeyPublication, limits};

/// Prekeys of a device, each checked as those who claim them will check it.
#[derive(Clone, Debug)]
pub struct VerifiedPublication {
    device: DeviceAddress,
    signing_key: SigningPublicKey,
    publication: PrekeyPublication,
}

/// Why a publication is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicationError {
    /// A key, a key id or a signature does not hold.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A KEM prekey stands where one of another use belongs.
    #[error("a {part} is signed for another use")]
    OtherUse {
        /// Where it stands.
        part: &'static str,
    },
    /// Too many keys of a kind at once.
    #[error("more than {limit} one-time prekeys of a kind at once")]
    TooMany {
        /// One-time keys of each kind in one publication.
        limit: usize,
    },
}

impl VerifiedPublication {
    /// Checks every key and signature, by the device that they are to belong to.
    ///
    /// # Errors
    /// [`PublicationError`].
    pub fn verify(publication: PrekeyPublication, device: &VerifiedDevice) -> Result<Self, PublicationError> {
        let PrekeyPublication { signed_prekey, last_resort_kem_prekey, one_time_prekeys, one_time_kem_prekeys } =
            &publication;
        let limit = limits::ONE_TIME_PREKEYS_MAX;
        if one_time_prekeys.len() > limit || one_time_kem_prekeys.len() > limit {
            return Err(PublicationError::TooMany { limit });
        }
        if let Some(prekey) = signed_prekey {
            verify_signed_prekey(prekey, device)?;
        }
        if let Some(prekey) = last_resort_kem_prekey {
            verify_kem(prekey, KemPrekeyUse::LastResort, "last-resort KEM prekey", device)?;
        }
        for prekey in one_time_prekeys {
            check_one_time_prekey(prekey)?;
        }
        for prekey in one_time_kem_prekeys {
            verify_kem(prekey, KemPrekeyUse::OneTime, "one-time KEM prekey", device)?;
        }
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

fn verify_kem(
    prekey: &KemPrekey,
    usage: KemPrekeyUse,
    part: &'static str,
    device: &VerifiedDevice,
) -> Result<(), PublicationError> {
    if prekey.usage != usage {
        return Err(PublicationError::OtherUse { part });
    }
    verify_kem_prekey(prekey, device)?;
    Ok(())
}
