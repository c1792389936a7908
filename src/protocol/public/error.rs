//! Why a public key or a signed structure is refused.

use crate::wire::{ErrorCode, WireError};

/// Why bytes are no acceptable public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The encoding is not the one canonical encoding of the value.
    #[error("the key is not in canonical form")]
    NonCanonical,
    /// No point of the curve; for X25519, a point of its twist.
    #[error("the key is not on the curve")]
    NotOnCurve,
    /// A point of order 1, 2, 4 or 8: every agreement with it gives the same secret.
    #[error("the key has low order")]
    LowOrder,
    /// A point outside the prime-order subgroup: the same key in another guise.
    #[error("the key is not of prime order")]
    MixedOrder,
    /// An ML-KEM key with a coefficient not below the modulus (FIPS 203, section 7.2).
    #[error("the KEM key fails its modulus check")]
    KemModulus,
}

impl KeyError {
    /// The code that stands for it where errors cross a boundary: one for all, as whoever sent such a
    /// key is at fault whatever is wrong with it.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NonCanonical | Self::NotOnCurve | Self::LowOrder | Self::MixedOrder | Self::KemModulus => {
                ErrorCode::KeyUnacceptable
            }
        }
    }
}

/// Why a signed structure is refused. Nothing in it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A public key in it is not acceptable.
    #[error("bad {field}: {source}")]
    Key {
        /// Which key.
        field: &'static str,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A signature does not hold, or is not in canonical form.
    #[error("the signature of the {part} does not hold")]
    Signature {
        /// The structure that it should have covered.
        part: &'static str,
    },
    /// The policy asks for a signature and there is none.
    #[error("the signature is missing")]
    SignatureMissing,
    /// The policy forbids signatures and there is one.
    #[error("a signature stands where the policy forbids one")]
    SignatureUnexpected,
    /// A key id is not that of the key beside it.
    #[error("the key id of the {part} is not its key's")]
    KeyId {
        /// The structure it stands in.
        part: &'static str,
    },
    /// It belongs to another account or device.
    #[error("the {part} belongs to somebody else")]
    Owner {
        /// The structure that was looked at.
        part: &'static str,
    },
    /// A list is over its limit, out of order, or names a device twice.
    #[error("the device list is malformed: {0}")]
    List(#[from] WireError),
    /// Uploaded prekeys are over a limit, or a KEM prekey is in a place that its use does not fit.
    #[error("the prekeys are malformed: {0}")]
    Prekeys(WireError),
}

impl VerifyError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Key { field: _, source } => source.code(),
            Self::Signature { .. } => ErrorCode::SignatureInvalid,
            Self::SignatureMissing => ErrorCode::SignatureMissing,
            Self::SignatureUnexpected => ErrorCode::SignatureUnexpected,
            Self::KeyId { .. } => ErrorCode::KeyIdMismatch,
            Self::Owner { .. } => ErrorCode::OwnerMismatch,
            Self::List(_) => ErrorCode::DeviceListMalformed,
            Self::Prekeys(_) => ErrorCode::PrekeysMalformed,
        }
    }
}
