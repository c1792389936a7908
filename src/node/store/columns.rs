//! The forms of ids, keys and times in columns.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use super::error::StoreError;
use crate::wire::{Bytes, Role, Timestamp};

/// Exactly `N` bytes in a BLOB column; reading any other length is an error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Blob<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> From<Blob<N>> for Bytes<N> {
    fn from(blob: Blob<N>) -> Self {
        Self(blob.0)
    }
}

impl<const N: usize> ToSql for Blob<N> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_slice().into())
    }
}

impl<const N: usize> FromSql for Blob<N> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| FromSqlError::InvalidBlobSize { expected_size: N, blob_size: bytes.len() })
    }
}

/// A number of 64 bits without sign in an INTEGER column, which has one: up to 2^63 - 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Integer(i64);

impl Integer {
    /// # Errors
    /// [`StoreError::OutOfRange`] past 2^63 - 1.
    pub(super) fn new(value: u64, field: &'static str) -> Result<Self, StoreError> {
        i64::try_from(value).map(Self).map_err(|_| StoreError::OutOfRange { field })
    }

    /// A point in time, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] 292 million years from now.
    pub(super) fn time(time: Timestamp, field: &'static str) -> Result<Self, StoreError> {
        Self::new(time.as_millis(), field)
    }

    pub(super) const fn get(self) -> u64 {
        self.0.unsigned_abs()
    }

    pub(super) const fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.get())
    }
}

impl ToSql for Integer {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Integer {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            below @ ..0 => Err(FromSqlError::OutOfRange(below)),
            value => Ok(Self(value)),
        }
    }
}

impl ToSql for Role {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "member" => Ok(Self::Member),
            "moderator" => Ok(Self::Moderator),
            "owner" => Ok(Self::Owner),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// A text of at most `bytes_max` bytes.
///
/// # Errors
/// [`StoreError::OutOfRange`] if it is longer.
pub(super) fn check_text(text: &str, bytes_max: usize, field: &'static str) -> Result<(), StoreError> {
    if text.len() > bytes_max { Err(StoreError::OutOfRange { field }) } else { Ok(()) }
}

/// The result of a `count(*)` against a limit.
pub(super) fn is_over(count: i64, limit: usize) -> bool {
    usize::try_from(count).is_ok_and(|count| count > limit)
}
