//! Sealed bytes with a limit of their own.

use core::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::codec::WireError;
use crate::ids::{deserialize_byte_vec, serialize_bytes};

/// Bytes that a client has sealed, at most `MAX`, and at least one. Its `Debug` prints the length alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SealedBytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> SealedBytes<MAX> {
    /// Takes bytes that were sealed.
    ///
    /// # Errors
    /// [`WireError::Truncated`] for none, [`WireError::OverLimit`] past `MAX`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, WireError> {
        match bytes.len() {
            0 => Err(WireError::Truncated),
            length if length > MAX => Err(WireError::OverLimit { field: "sealed bytes", limit: MAX }),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> fmt::Debug for SealedBytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBytes({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Serialize for SealedBytes<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, serializer)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for SealedBytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(deserialize_byte_vec(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn from_one_byte_to_the_limit_is_taken() {
        for (text, length) in [("\"AA\"", 1), ("\"AAAA\"", 3)] {
            let sealed: SealedBytes<3> = serde_json::from_str(text).unwrap();
            assert_eq!((sealed.as_bytes().len(), serde_json::to_string(&sealed).unwrap().as_str()), (length, text));
        }
        for text in ["\"\"", "\"AAAAAA\"", "\"AAA=\"", "1"] {
            assert!(serde_json::from_str::<SealedBytes<3>>(text).is_err(), "{text}");
        }
        assert_eq!(format!("{:?}", SealedBytes::<3>::new(vec![7, 8]).unwrap()), "SealedBytes(2 bytes)");
    }
}
