//! Why a call of the vault did nothing.

use crate::client::{ApiError, ClientError, EntropyError};
use crate::ids::ItemId;
use crate::protocol::vault;
use crate::wire::ErrorCode;

/// Why a call of the vault did nothing.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Another version of the item is there than the one that the call comes after: somebody has written it since. Read it,
    /// and decide.
    #[error("version {present} of item {item} is there")]
    Conflict {
        /// The item.
        item: ItemId,
        /// Its version, also if it was deleted; 0 if there is no such item.
        present: u64,
    },
    /// The item was deleted before, as this version.
    #[error("item {item} was deleted, as version {version}")]
    Deleted {
        /// The item.
        item: ItemId,
        /// The version of its deletion.
        version: u64,
    },
    /// Other devices write the collection so often that this one does not get to it. Try again.
    #[error("the collection is written too often")]
    Contended,
    /// The node lies, or has lost something: it rolled the collection back, shows it in different ways, or hands out something
    /// else than what is in it. Nothing of it was taken. A node that was restored from a backup looks the same: only the user
    /// can say, and then [`accept`](super::Collection::accept) goes on.
    #[error("the node is not believed: {0}")]
    NotBelieved(#[source] vault::VaultError),
    /// The node does not hand out an item that is in the collection.
    #[error("the node does not hand out item {item}")]
    Withheld {
        /// The item.
        item: ItemId,
    },
    /// The content is too long, or an item of this account does not open.
    #[error(transparent)]
    Item(vault::VaultError),
    /// The item is authentic, and of another form than was asked for.
    #[error("item {item} is of another form")]
    OtherForm {
        /// The item.
        item: ItemId,
    },
    /// The content has no JSON form.
    #[error("the content has no JSON form")]
    NoForm,
    /// The node is not reached or refuses, the store fails, or the vault's key is not on this device.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl VaultError {
    /// The stable code, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Conflict { .. } => Some(ErrorCode::VaultVersionConflict),
            Self::Deleted { .. } => Some(ErrorCode::VaultItemDeleted),
            Self::Contended => Some(ErrorCode::VaultRevisionConflict),
            Self::NotBelieved(error) | Self::Item(error) => Some(error.code()),
            Self::Withheld { .. } => Some(ErrorCode::VaultItemWithheld),
            Self::OtherForm { .. } => Some(ErrorCode::VaultItemMalformed),
            Self::Client(ClientError::Api(error)) => error.code(),
            Self::NoForm | Self::Client(_) => None,
        }
    }

    /// Whether it is the node that does not do as it should.
    #[must_use]
    pub const fn blames_node(&self) -> bool {
        matches!(self, Self::NotBelieved(_) | Self::Withheld { .. })
    }
}

impl From<ApiError> for VaultError {
    fn from(error: ApiError) -> Self {
        Self::Client(error.into())
    }
}

impl From<EntropyError> for VaultError {
    fn from(error: EntropyError) -> Self {
        Self::Client(error.into())
    }
}
