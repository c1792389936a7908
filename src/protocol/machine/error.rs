//! Why the machine refused, and what repairs it.

use super::changes::RecordKey;
use crate::ids::{AccountId, DeviceAddress, KeyId};
use crate::protocol::agreement::{AgreementError, OpeningError};
use crate::protocol::public::VerifyError;
use crate::protocol::ratchet::RatchetError;
use crate::protocol::session::SessionError;
use crate::wire::{ErrorCode, RoomPolicy};

/// Why the machine refused an input. Its state is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// Nothing is known of the account yet.
    #[error("account {account} is not known")]
    UnknownAccount {
        /// The account.
        account: AccountId,
    },
    /// The device is not on its account's list.
    #[error("device {device} is not on its account's list")]
    UnknownDevice {
        /// The device.
        device: DeviceAddress,
    },
    /// The account shows a new identity that the user has not accepted.
    #[error("account {account} has a new identity")]
    IdentityChanged {
        /// The account.
        account: AccountId,
    },
    /// The identity to accept is not the one that waits.
    #[error("account {account} has no such new identity")]
    NoSuchIdentity {
        /// The account.
        account: AccountId,
    },
    /// Somebody shows another root key as this account's own.
    #[error("another root key is shown as this account's own")]
    OwnRootChanged,
    /// An older device list than the one that is known.
    #[error("a device list of version {given} was given, where {known} is known")]
    StaleDeviceList {
        /// The version that is known.
        known: u64,
        /// The version that was given.
        given: u64,
    },
    /// Another device list of the same version.
    #[error("two device lists have the same version")]
    ForkedDeviceList,
    /// A key, a certificate, a list, a prekey or an envelope does not verify.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The envelope is for another device.
    #[error("the envelope is for another device")]
    NotForThisDevice,
    /// Pairwise messages do not exist under this policy.
    #[error("the policy does not allow pairwise messages")]
    OtherPolicy {
        /// The policy.
        policy: RoomPolicy,
    },
    /// There is no session with the device.
    #[error("there is no session with device {device}")]
    NoSession {
        /// The device.
        device: DeviceAddress,
    },
    /// The first message has opened a session before, and that session is gone.
    #[error("the first message was used before, and its session is gone")]
    OpeningReplayed,
    /// The first message uses a prekey that is gone.
    #[error("prekey {key_id} is gone")]
    PrekeyGone {
        /// The prekey.
        key_id: KeyId,
    },
    /// The bundle is older than one that was seen: its prekeys may have been stolen since.
    #[error("an old bundle of device {device} was given")]
    StalePrekeys {
        /// The device.
        device: DeviceAddress,
    },
    /// The session refused the message.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Too many first messages of an account; room comes back as signed prekeys age.
    #[error("too many first messages of account {account} are remembered")]
    TooManyOpenings {
        /// The account.
        account: AccountId,
    },
    /// A session with this device itself was asked for.
    #[error("a device has no session with itself")]
    OwnDevice,
    /// Too many accounts are known; [`ForgetAccount`](super::Input::ForgetAccount) makes room.
    #[error("too many accounts are known")]
    TooManyAccounts,
    /// A saved record is malformed, or missing.
    #[error("the saved record {record} is malformed or missing")]
    Saved {
        /// The record.
        record: RecordKey,
    },
    /// A mistake of this program: to be reported.
    #[error("a bug in the machine: {what}")]
    Internal {
        /// What should not have been possible.
        what: &'static str,
    },
}

/// What the client does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Nothing: the message was read before, or is not meant to be read here.
    Nothing,
    /// Drop it: somebody misbehaved, and sending it again would not help.
    Refuse,
    /// Fetch the account's device list, then try once more. If the list is no newer one, or the error
    /// is the same again, drop it: the node can give an envelope any sender and key id.
    FetchDevices,
    /// Start a new session with the device, and ask it to send the message again. A node can bring
    /// this about at will: without signatures by altering any message, with them by delivering old
    /// ones again, or by holding some back. Not more often than a few times a day for a device.
    NewSession,
    /// Ask the device to send the message again. Asking is a message of ours, which the device answers
    /// with a new chain; that is what brings a session back into step. If there is no session, writing
    /// starts one. A node can bring this about by delivering old messages again: ask for each once.
    AskAgain,
    /// Ask the user whether the new identity is to be accepted.
    AskUser,
    /// Correct the call: the message is too long, or the policy another.
    CorrectCall,
    /// Restore from a backup, or set the device up anew.
    Restore,
    /// Wait: room comes back with time.
    Wait,
    /// Forget accounts that are not needed any more.
    ForgetAccounts,
    /// Report it: a mistake of this program.
    Report,
}

impl MachineError {
    /// What repairs it.
    #[must_use]
    pub const fn repair(&self) -> Repair {
        match self {
            Self::UnknownAccount { .. } | Self::UnknownDevice { .. } => Repair::FetchDevices,
            Self::IdentityChanged { .. } => Repair::AskUser,
            Self::NotForThisDevice => Repair::Nothing,
            Self::OwnRootChanged
            | Self::StaleDeviceList { .. }
            | Self::ForkedDeviceList
            | Self::StalePrekeys { .. }
            | Self::Verify(_) => Repair::Refuse,
            Self::NoSession { .. } | Self::PrekeyGone { .. } => Repair::NewSession,
            Self::OpeningReplayed => Repair::AskAgain,
            Self::OtherPolicy { .. } | Self::NoSuchIdentity { .. } | Self::OwnDevice => Repair::CorrectCall,
            Self::TooManyOpenings { .. } => Repair::Wait,
            Self::TooManyAccounts => Repair::ForgetAccounts,
            Self::Internal { .. } => Repair::Report,
            Self::Saved { .. } => Repair::Restore,
            Self::Session(error) => repair_session(error),
        }
    }

    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownAccount { .. } => ErrorCode::UnknownAccount,
            Self::UnknownDevice { .. } => ErrorCode::UnknownDevice,
            Self::IdentityChanged { .. } => ErrorCode::IdentityChanged,
            Self::NoSuchIdentity { .. } => ErrorCode::NoSuchIdentity,
            Self::OwnRootChanged => ErrorCode::OwnRootChanged,
            Self::StaleDeviceList { .. } => ErrorCode::StaleDeviceList,
            Self::ForkedDeviceList => ErrorCode::ForkedDeviceList,
            Self::Verify(error) => error.code(),
            Self::NotForThisDevice => ErrorCode::NotForThisDevice,
            Self::OtherPolicy { .. } => ErrorCode::OtherPolicy,
            Self::NoSession { .. } => ErrorCode::NoSession,
            Self::OpeningReplayed => ErrorCode::OpeningReplayed,
            Self::PrekeyGone { .. } => ErrorCode::PrekeyGone,
            Self::OwnDevice => ErrorCode::OwnDevice,
            Self::StalePrekeys { .. } => ErrorCode::StalePrekeys,
            Self::Session(error) => session_code(error),
            Self::TooManyOpenings { .. } => ErrorCode::TooManyOpenings,
            Self::TooManyAccounts => ErrorCode::TooManyAccounts,
            Self::Saved { .. } => ErrorCode::SavedStateMalformed,
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }
}

const fn repair_session(error: &SessionError) -> Repair {
    match error {
        SessionError::Agreement(AgreementError::OneTimePrekey) => Repair::Report,
        SessionError::Agreement(AgreementError::NonContributory(_))
        | SessionError::Opening(_)
        | SessionError::Form(_) => Repair::Refuse,
        SessionError::Ratchet(error) => match error {
            // Of a chain that is gone: the session may stand where an old store had it, and what is written on it is not read.
            RatchetError::Open | RatchetError::TooFarAhead | RatchetError::ChainExhausted | RatchetError::ChainGone => {
                Repair::NewSession
            }
            RatchetError::KeyGone => Repair::Nothing,
            RatchetError::KeyGivenUp => Repair::AskAgain,
            RatchetError::RatchetKey(_) => Repair::Refuse,
            RatchetError::TooLong => Repair::CorrectCall,
            RatchetError::Saved(_) => Repair::Restore,
        },
    }
}

const fn session_code(error: &SessionError) -> ErrorCode {
    match error {
        SessionError::Agreement(_) => ErrorCode::AgreementFailed,
        SessionError::Opening(OpeningError::EphemeralKey(_)) => ErrorCode::KeyUnacceptable,
        SessionError::Opening(OpeningError::Form(_)) | SessionError::Form(_) => ErrorCode::MessageMalformed,
        SessionError::Ratchet(error) => match error {
            RatchetError::Open => ErrorCode::DoesNotOpen,
            RatchetError::KeyGone => ErrorCode::MessageKeyGone,
            RatchetError::KeyGivenUp => ErrorCode::MessageKeyGivenUp,
            RatchetError::ChainGone => ErrorCode::ChainGone,
            RatchetError::TooFarAhead => ErrorCode::TooFarAhead,
            RatchetError::RatchetKey(_) => ErrorCode::KeyUnacceptable,
            RatchetError::ChainExhausted => ErrorCode::ChainExhausted,
            RatchetError::TooLong => ErrorCode::MessageTooLong,
            RatchetError::Saved(_) => ErrorCode::SavedStateMalformed,
        },
    }
}
