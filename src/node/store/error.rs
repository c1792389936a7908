//! Why the store did not do what it was asked.

use std::sync::Arc;

use crate::ids::{AccountId, DeviceAddress, InvitationId, ItemId, RoomId, SessionId};

/// Why a call of the store failed.
///
/// After an error of a write nothing of it is stored, with one exception: after
/// [`Unavailable`](Self::Unavailable) it may be there all the same, because the error can come
/// while the commit is being written. Writes can be sent again then; only what is taken or traded
/// once (a flow, a code, a refresh token, a one-time key) may have been used up by the first try.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such account.
    #[error("there is no account {account_id}")]
    UnknownAccount {
        /// The account.
        account_id: AccountId,
    },
    /// The device is not on its account's list, or stands there with another identity key.
    #[error("device {device} is not on its account's list")]
    UnknownDevice {
        /// The device.
        device: DeviceAddress,
    },
    /// There is no such session, or it has ended.
    #[error("there is no session {session_id}")]
    UnknownSession {
        /// The session.
        session_id: SessionId,
    },
    /// The session has said before that it is another device.
    #[error("session {session_id} is another device's")]
    SessionBound {
        /// The session.
        session_id: SessionId,
    },
    /// The structure belongs to another account.
    #[error("what was given belongs to another account than {account_id}")]
    OwnerMismatch {
        /// The account that was to own it.
        account_id: AccountId,
    },
    /// The device list is signed by another root key than the account's first one was.
    #[error("the root key of account {account_id} is another")]
    RootKeyChanged {
        /// The account.
        account_id: AccountId,
    },
    /// A newer device list is stored.
    #[error("version {given} of a device list is older than the stored {stored}")]
    StaleVersion {
        /// The stored version.
        stored: u64,
        /// The version that was to take its place.
        given: u64,
    },
    /// Another device list of the same version is stored.
    #[error("another device list of version {version} is stored")]
    ForkedVersion {
        /// The version.
        version: u64,
    },
    /// The device would have more one-time keys of a kind than are kept for it.
    #[error("more than {limit} one-time prekeys of a kind")]
    TooManyPrekeys {
        /// One-time keys of each kind that are kept for a device.
        limit: usize,
    },
    /// Too many sign-ins are pending on the whole node.
    #[error("more than {limit} sign-ins are pending")]
    TooManyFlows {
        /// Pending sign-ins that are kept.
        limit: usize,
    },
    /// There is no such room, or the account is no member of it.
    #[error("there is no room {room_id}")]
    UnknownRoom {
        /// The room.
        room_id: RoomId,
    },
    /// The account that something was to be done to is no member of the room.
    #[error("account {account_id} is no member of the room")]
    UnknownMember {
        /// The account.
        account_id: AccountId,
    },
    /// The room has no such invitation.
    #[error("there is no invitation {invitation_id}")]
    UnknownInvitation {
        /// The invitation.
        invitation_id: InvitationId,
    },
    /// The invitation is unknown, expired, used up, withdrawn or for another account: which of them is
    /// not said.
    #[error("the invitation is not good")]
    InvitationRefused,
    /// The role of the account does not allow it.
    #[error("the role of account {account_id} does not allow it")]
    RoleForbids {
        /// Who was to do it.
        account_id: AccountId,
    },
    /// The room would be left without an owner.
    #[error("room {room_id} would be left without an owner")]
    LastOwner {
        /// The room.
        room_id: RoomId,
    },
    /// The room is closed.
    #[error("room {room_id} is closed")]
    RoomClosed {
        /// The room.
        room_id: RoomId,
    },
    /// The room has as many members as it may.
    #[error("more than {limit} members of a room")]
    TooManyMembers {
        /// Members of a room.
        limit: usize,
    },
    /// The account is in as many rooms as it may be.
    #[error("more than {limit} rooms of an account")]
    TooManyRooms {
        /// Rooms of an account.
        limit: usize,
    },
    /// The room has as many invitations as it may.
    #[error("more than {limit} invitations of a room")]
    TooManyInvitations {
        /// Invitations of a room that have not expired.
        limit: usize,
    },
    /// The key of a call that is to act once was used for another one.
    #[error("the key was used for another call")]
    OtherRequest,
    /// The account has as many calls remembered as it may.
    #[error("more than {limit} calls of an account that act once")]
    TooManyKeys {
        /// Calls of an account that are remembered.
        limit: usize,
    },
    /// The account's vault has no such item.
    #[error("there is no vault item {item_id}")]
    UnknownVaultItem {
        /// The item.
        item_id: ItemId,
    },
    /// The item was deleted.
    #[error("the vault item was deleted, as version {version}")]
    VaultItemDeleted {
        /// The version of its deletion.
        version: u64,
    },
    /// The write comes after another version of the item.
    #[error("version {present} of the vault item is stored")]
    VaultVersion {
        /// The stored version; 0 if there is no such item.
        present: u64,
    },
    /// The write makes another revision of the collection than the next.
    #[error("revision {present} of the collection is stored")]
    VaultRevision {
        /// The stored revision; 0 if the collection was never written.
        present: u64,
    },
    /// The account has as many collections as it may.
    #[error("more than {limit} collections of an account")]
    TooManyCollections {
        /// Collections of an account.
        limit: u64,
    },
    /// The account has as many vault items as it may.
    #[error("more than {limit} vault items of an account")]
    TooManyVaultItems {
        /// Items of an account, deleted ones included.
        limit: u64,
    },
    /// The account's vault items are as long together as they may be.
    #[error("more than {limit} bytes of vault items of an account")]
    VaultFull {
        /// Bytes of an account's items.
        limit: u64,
    },
    /// The position is of another life of the log, or there is no log.
    #[error("the position is of another log")]
    OtherLogEpoch,
    /// The position is past the head of the log.
    #[error("the position is past the head {head} of the log")]
    PositionAhead {
        /// The head.
        head: u64,
    },
    /// An id or token that should be new is in use; drawn at random, it never is.
    #[error("an id or token is in use")]
    IdInUse,
    /// A value is too large for the store.
    #[error("{field} is too large")]
    OutOfRange {
        /// Which value.
        field: &'static str,
    },
    /// The queue of writes is full. Nothing was tried.
    #[error("too many writes wait")]
    Busy,
    /// The store was closed. Nothing was tried.
    #[error("the store is closed")]
    Closed,
    /// The disk, or the room set for the database, is full.
    #[error("the store has no room left")]
    Full,
    /// The database does not answer, or answers with an error of its own.
    #[error("the store is unavailable")]
    Unavailable {
        /// What the database said, or the machine; it names no values.
        #[source]
        cause: Arc<dyn core::error::Error + Send + Sync>,
    },
    /// The database is of another version of the program, or its tables are damaged.
    #[error("the database does not fit this program")]
    Migration {
        /// Which migration, and why.
        #[source]
        cause: Arc<rusqlite_migration::Error>,
    },
    /// A stored value does not parse: the file is damaged.
    #[error("a stored {what} is damaged")]
    Corrupt {
        /// What was read.
        what: &'static str,
    },
    /// Our own error.
    #[error("error in the store: {what}")]
    Bug {
        /// What should not have happened.
        what: &'static str,
    },
}

impl StoreError {
    /// Whether disk or database failed, and not the request: no write of the same commit is stored.
    pub(super) const fn is_environment(&self) -> bool {
        matches!(self, Self::Full | Self::Unavailable { .. })
    }

    pub(super) fn unavailable(cause: impl core::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable { cause: Arc::new(cause) }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{ConstraintViolation, DiskFull};
        use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};

        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::Corrupt { what: "row" },
            rusqlite::Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
                (_, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE) => Self::IdInUse,
                (ConstraintViolation, _) => Self::Bug { what: "a rule of the schema is broken" },
                (DiskFull, _) => Self::Full,
                _ => Self::unavailable(error),
            },
            // A table that is not there, and a file that cannot be.
            rusqlite::Error::SqlInputError { .. } | rusqlite::Error::InvalidPath(_) => Self::unavailable(error),
            _ => Self::Bug { what: "a statement does not fit its values" },
        }
    }
}

impl From<tokio::task::JoinError> for StoreError {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_panic() { Self::Bug { what: "it has panicked" } } else { Self::Closed }
    }
}

impl From<rusqlite_migration::Error> for StoreError {
    fn from(error: rusqlite_migration::Error) -> Self {
        use rusqlite::ErrorCode::{ConstraintViolation, Unknown};

        match error {
            // The disk, or another program. What is left speaks of the tables.
            rusqlite_migration::Error::RusqliteError { err, .. }
                if !matches!(err.sqlite_error_code(), None | Some(ConstraintViolation | Unknown)) =>
            {
                err.into()
            }
            error => Self::Migration { cause: Arc::new(error) },
        }
    }
}
