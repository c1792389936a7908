//! The binary form of signed structures, ratchet messages and saved state.
//!
//! Fields stand one after another in a fixed order. Integers are big-endian; a field of variable
//! length has its length in front, as `u32`. There is no optional trailing field: what is left over
//! is an error, so one value has one encoding.

use zeroize::Zeroizing;

use crate::ids::{AccountId, DeviceId, KeyId};

/// Why bytes are not the structure that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("truncated")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("trailing bytes")]
    Trailing,
    /// A version byte that this build does not know.
    #[error("unknown version {version}")]
    UnknownVersion {
        /// The byte that stood there.
        version: u8,
    },
    /// A field holds a value that its type does not have.
    #[error("invalid {field}")]
    Invalid {
        /// The field's name.
        field: &'static str,
    },
    /// A field is longer, or a list has more elements, than its limit allows.
    #[error("{field} is over its limit of {limit}")]
    OverLimit {
        /// The field's name.
        field: &'static str,
        /// The limit, in the field's unit.
        limit: usize,
    },
}

/// Writes fields one after another; what it has written is wiped when it is dropped unread.
#[derive(Default)]
pub struct Writer(Zeroizing<Vec<u8>>);

impl core::fmt::Debug for Writer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Writer({} bytes)", self.0.len())
    }
}

impl Writer {
    /// An empty writer with room for `capacity` bytes. Secrets are written into one that is large
    /// enough from the start: a buffer that grows leaves copies behind.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// Appends bytes as they are: a field whose length the structure fixes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends one byte.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    /// Appends four bytes, big-endian.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends eight bytes, big-endian.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends a length as `u32`, then the bytes. Every caller bounds them far below 4 GiB.
    #[must_use]
    pub fn variable(self, bytes: &[u8]) -> Self {
        self.length(bytes.len()).bytes(bytes)
    }

    /// Appends the number of elements that follow, as `u32`.
    #[must_use]
    pub fn length(self, length: usize) -> Self {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX))
    }

    /// Appends each element as `write` says.
    #[must_use]
    pub fn each<T>(self, items: impl IntoIterator<Item = T>, write: impl Fn(Self, T) -> Self) -> Self {
        items.into_iter().fold(self, write)
    }

    /// What was written, as public bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }

    /// What was written, still to be wiped.
    #[must_use]
    pub fn finish_secret(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads fields one after another from borrowed bytes; never past their end.
#[derive(Clone)]
pub struct Reader<'a>(&'a [u8]);

impl core::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reader({} bytes left)", self.0.len())
    }
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if fewer are left; nothing is consumed then.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(|&[byte]| byte)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// The number of elements that follow, at most `limit`.
    ///
    /// # Errors
    /// [`WireError::OverLimit`] past `limit`; [`WireError::Truncated`] if fewer than four bytes are left.
    pub fn length(&mut self, field: &'static str, limit: usize) -> Result<usize, WireError> {
        let length = self.u32()? as usize;
        if length > limit { Err(WireError::OverLimit { field, limit }) } else { Ok(length) }
    }

    /// A length as `u32`, at most `limit`, then that many bytes.
    ///
    /// # Errors
    /// [`WireError::OverLimit`] past `limit`; [`WireError::Truncated`] if fewer bytes are left.
    pub fn variable(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], WireError> {
        let length = self.length(field, limit)?;
        self.bytes(length)
    }

    /// A list: its number of elements as `u32`, at most `limit`, then each as `read` says.
    ///
    /// # Errors
    /// [`WireError::OverLimit`] past `limit`, or the first error of `read`.
    pub fn list<T, E: From<WireError>>(
        &mut self,
        field: &'static str,
        limit: usize,
        read: impl Fn(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let length = self.length(field, limit)?;
        (0..length).map(|_| read(self)).collect()
    }

    /// The version byte, which must be `known`.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`] if it is another.
    pub fn version(&mut self, known: u8) -> Result<(), WireError> {
        let version = self.u8()?;
        if version == known { Ok(()) } else { Err(WireError::UnknownVersion { version }) }
    }

    /// Whether a value follows: one byte, 0 or 1.
    ///
    /// # Errors
    /// [`WireError::Invalid`] for any other byte.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Invalid { field }),
        }
    }

    /// Everything that is left.
    #[must_use]
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`WireError::Trailing`] if bytes are left.
    pub fn end(self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}

macro_rules! read_id {
    ($($method:ident -> $id:ident),+ $(,)?) => {
        impl Reader<'_> {
            $(
                /// One identifier.
                ///
                /// # Errors
                /// [`WireError::Truncated`] if fewer bytes are left.
                pub fn $method(&mut self) -> Result<$id, WireError> {
                    self.array().map(|bytes| $id::from_bytes(*bytes))
                }
            )+
        }
    };
}

read_id! {
    account_id -> AccountId,
    device_id -> DeviceId,
    key_id -> KeyId,
}
