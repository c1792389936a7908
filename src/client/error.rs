//! Why the SDK did not do something.

use super::api::ApiError;
use super::entropy::EntropyError;
use super::sign_in::SignInError;
use super::store::StoreError;
use crate::ids::{AccountId, RoomId};
use crate::protocol::backup::BackupError;
use crate::protocol::identity::IdentityError;
use crate::protocol::machine::MachineError;
use crate::protocol::membership::InvitationCodeError;
use crate::protocol::public::VerifyError;
use crate::wire::RoomPolicy;

/// Why a call did nothing. Where it says nothing else, nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node is not reached, or refuses.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The sign-in failed.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The protocol core refuses; its [`repair`](MachineError::repair) says what helps.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The store does not keep or give something.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the node shows of this account does not verify.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Keys and certificate do not belong together.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The recovery kit does not open.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The text is no link code, or was mistyped.
    #[error("not a link code, or a mistyped one")]
    LinkCode,
    /// The system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store holds no device, or not all of one.
    #[error("the store holds no device that is set up")]
    NotSetUp,
    /// The store holds a device already.
    #[error("the store holds a device already")]
    AlreadySetUp,
    /// The account has devices: this one is to be linked from one of them, or set up with the recovery kit.
    #[error("the account has devices already: link this one, or use the recovery kit")]
    AccountExists,
    /// The account's root key is not on this device, which was linked from another.
    #[error("the account's root key is not on this device")]
    NoRootKey,
    /// The key of the account's vault is not on this device.
    #[error("the key of the account's vault is not on this device")]
    NoVaultKey,
    /// The tokens, the kit or the link code are of another account.
    #[error("that is of another account")]
    OtherAccount,
    /// The account's root key is another one than its devices have, or than members have let it into a room with.
    #[error("the node shows another root key of the account")]
    OtherRootKey,
    /// The account has as many devices as it may have, or the device is not among them.
    #[error("the device cannot be put on the account's list, or is not on it")]
    DeviceList,
    /// The room is not among those that were joined.
    #[error("the room was not joined")]
    NotJoined {
        /// Which room.
        room: RoomId,
    },
    /// What the room's members share is not on this device: another device of this account has to give it, or somebody has to
    /// invite this account again.
    #[error(
        "the key of room {room} is not on this device: it comes from another one of yours that is online, or with a new invitation"
    )]
    NoMembershipKey {
        /// Which room.
        room: RoomId,
    },
    /// The text is no invitation, or was mistyped.
    #[error(transparent)]
    InvitationCode(#[from] InvitationCodeError),
    /// This device has left so many rooms that it takes no new ones.
    #[error("too many rooms were left")]
    TooManyRooms,
    /// The node shows another policy of a room than was asked for, or than it had.
    #[error("the node shows another policy of room {room}")]
    PolicyChanged {
        /// Which room.
        room: RoomId,
        /// The policy that holds.
        pinned: RoomPolicy,
        /// What the node shows.
        shown: RoomPolicy,
    },
    /// None of the account's devices can be written to yet: they have published no keys.
    #[error("no device of account {account} can be written to yet")]
    NotReachable {
        /// Which account.
        account: AccountId,
    },
    /// Too much waits to be sent.
    #[error("too much waits to be sent")]
    OutboxFull,
    /// The session on the node has ended: sign in again.
    #[error("signed out")]
    SignedOut,
    /// The node is not connected, which this needs.
    #[error("not connected")]
    NotConnected,
    /// The client was closed, or has stopped; the last event says why.
    #[error("the client has stopped")]
    Stopped,
}

impl ClientError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => error.is_transient(),
            Self::OutboxFull | Self::NotConnected | Self::NotReachable { .. } => true,
            _ => false,
        }
    }

    /// Whether the state in memory may be ahead of what is saved, or is not to be trusted: the client stops.
    pub(super) const fn is_fatal(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Machine(MachineError::Internal { .. }) | Self::Entropy(_))
    }
}
