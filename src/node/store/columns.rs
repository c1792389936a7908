//! The forms of ids, keys and times in columns.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Sqlite, Type};

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

impl<const N: usize> Type<Sqlite> for Blob<N> {
    fn type_info() -> SqliteTypeInfo {
        <[u8] as Type<Sqlite>>::type_info()
    }
}

impl<const N: usize> Encode<'_, Sqlite> for Blob<N> {
    fn encode_by_ref(&self, arguments: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <&[u8] as Encode<'_, Sqlite>>::encode_by_ref(&self.0.as_slice(), arguments)
    }
}

impl<'r, const N: usize> Decode<'r, Sqlite> for Blob<N> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<&[u8] as Decode<'r, Sqlite>>::decode(value)?.try_into()?))
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

impl Type<Sqlite> for Integer {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(info: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(info)
    }
}

impl Encode<'_, Sqlite> for Integer {
    fn encode_by_ref(&self, arguments: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Sqlite>>::encode_by_ref(&self.0, arguments)
    }
}

impl<'r> Decode<'r, Sqlite> for Integer {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        let value = <i64 as Decode<'r, Sqlite>>::decode(value)?;
        if value < 0 { Err("below zero".into()) } else { Ok(Self(value)) }
    }
}

impl Type<Sqlite> for Role {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Role {
    fn encode_by_ref(&self, arguments: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'_, Sqlite>>::encode_by_ref(&self.as_str(), arguments)
    }
}

impl<'r> Decode<'r, Sqlite> for Role {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        match <&str as Decode<'r, Sqlite>>::decode(value)? {
            "member" => Ok(Self::Member),
            "moderator" => Ok(Self::Moderator),
            "owner" => Ok(Self::Owner),
            _ => Err("no role".into()),
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
