//! Exit statuses: what a script can tell apart.

use std::error::Error;

use super::explain;
use crate::client::vault::VaultError;
use crate::client::{ApiError, ClientError, SignInError, StoreError};
use crate::ids::CollectionName;
use crate::protocol::machine::MachineError;
use crate::wire::ErrorCode;

/// What stands under `--help` of the commands that talk.
pub(super) const STATUSES: &str = "Exit statuses:
  0  done
  1  failed; standard error says why
  2  the command line is wrong
  3  no device is set up in the profile, or its session has ended: `conclave login`
  4  the node is not reached, or does not take it now; what was to be sent is kept, and goes later
  5  somebody's identity, a room's policy or the vault is not as it was, or what the node shows of
     somebody's keys does not verify: look before you go on
  6  no such memory, or another version of it than was said: nothing has changed";

/// Ends a command with a status of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// There is nothing to go on with.
    #[error("no device is set up in {folder}: begin with `conclave login --url URL`")]
    NoDevice {
        /// The profile's folder.
        folder: String,
    },
    /// A message that the node has not confirmed.
    #[error("the node is not reached: the message is kept, and goes with the next command")]
    Waiting,
    /// One that waits although the node is reached.
    #[error("the message is kept, and goes when it can: {}", delay(*reason))]
    Delayed {
        /// What is in its way.
        reason: ErrorCode,
    },
    /// The same, because the session has ended.
    #[error("signed out: the message is kept, and goes with the first command after `conclave login`")]
    WaitingForSignIn,
    /// Nothing is kept under a name.
    #[error("nothing is kept under {name}: see `conclave memory list`")]
    Absent {
        /// The name.
        name: String,
    },
    /// Somebody has written an item of the vault in between.
    #[error("{}: somebody has written it since. Nothing was changed; read it, and decide", there(*present))]
    Overtaken {
        /// Its version; 0 if there is none.
        present: u64,
    },
    /// The node does not show the vault as this account's devices have left it.
    #[error(
        "THE NODE LIES ABOUT {collection}, or has lost some of it: {reason}. Nothing of it was taken. If you know that it was \
         restored from a backup: conclave memory accept --collection {collection}"
    )]
    Lie {
        /// Of what.
        collection: CollectionName,
        /// What is wrong.
        reason: String,
    },
    /// What the node shows of this account does not verify, or is older than what is known.
    #[error("the node shows something false or old of this account, and is not used: {}", .reason.as_str())]
    Distrusted {
        /// What is wrong.
        reason: ErrorCode,
    },
    /// A wrong value on the command line that only the profile can tell.
    #[error("{0}")]
    Usage(String),
}

/// The status that an error ends the program with.
pub(super) fn status(error: &(dyn Error + 'static)) -> u8 {
    if let Some(error) = error.downcast_ref::<CliError>() {
        return match error {
            CliError::NoDevice { .. } | CliError::WaitingForSignIn => SIGN_IN,
            CliError::Delayed { reason: ErrorCode::IdentityChanged }
            | CliError::Lie { .. }
            | CliError::Distrusted { .. } => CHANGED,
            CliError::Waiting | CliError::Delayed { .. } => UNREACHABLE,
            CliError::Absent { .. } | CliError::Overtaken { .. } => OTHER_VERSION,
            CliError::Usage(_) => USAGE,
        };
    }
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return of_client(error);
    }
    if let Some(VaultError::Client(error)) = error.downcast_ref() {
        return of_client(error);
    }
    match (error.downcast_ref::<SignInError>(), error.downcast_ref::<StoreError>()) {
        (Some(SignInError::Api(error)), _) => of_api(error),
        (_, Some(StoreError::Missing { .. })) => SIGN_IN,
        _ => error.downcast_ref::<ApiError>().map_or(FAILED, of_api),
    }
}

fn of_client(error: &ClientError) -> u8 {
    match error {
        ClientError::NotSetUp | ClientError::SignedOut => SIGN_IN,
        ClientError::Api(error) | ClientError::SignIn(SignInError::Api(error)) => of_api(error),
        ClientError::NotConnected => UNREACHABLE,
        ClientError::PolicyChanged { .. } | ClientError::OtherRootKey | ClientError::Verify(_) => CHANGED,
        ClientError::Machine(error) => of_machine(error),
        _ => FAILED,
    }
}

fn of_machine(error: &MachineError) -> u8 {
    match error {
        MachineError::IdentityChanged { .. }
        | MachineError::OwnRootChanged
        | MachineError::StaleDeviceList { .. }
        | MachineError::ForkedDeviceList
        | MachineError::StalePrekeys { .. }
        | MachineError::Verify(_) => CHANGED,
        _ => FAILED,
    }
}

fn of_api(error: &ApiError) -> u8 {
    match error {
        error if error.is_signed_out() => SIGN_IN,
        error if error.is_transient() => UNREACHABLE,
        ApiError::Mismatch => CHANGED,
        _ => FAILED,
    }
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const SIGN_IN: u8 = 3;
const UNREACHABLE: u8 = 4;
const CHANGED: u8 = 5;
const OTHER_VERSION: u8 = 6;

fn delay(reason: ErrorCode) -> String {
    match reason {
        ErrorCode::IdentityChanged => "the reader has a new identity: see `conclave contact safety`".to_owned(),
        ErrorCode::NoPrekeys => "no device of the reader can be written to yet".to_owned(),
        reason => match explain::words(reason) {
            Some(words) => format!("{words} ({reason})"),
            None => format!("the node says {reason}"),
        },
    }
}

fn there(version: u64) -> String {
    if version == 0 { "nothing is there now".to_owned() } else { format!("version {version} is there") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, DeviceAddress, DeviceId, RoomId};
    use crate::protocol::public::VerifyError;
    use crate::wire::RoomPolicy;

    #[test]
    fn each_kind_of_failure_has_the_status_that_the_help_names() {
        let statuses = [
            status(&CliError::NoDevice { folder: String::new() }),
            status(&CliError::Waiting),
            status(&CliError::WaitingForSignIn),
            status(&CliError::Delayed { reason: ErrorCode::MailboxFull }),
            status(&CliError::Delayed { reason: ErrorCode::IdentityChanged }),
            status(&ClientError::SignedOut),
            status(&ClientError::NotConnected),
            status(&ClientError::OtherRootKey),
            status(&CliError::Overtaken { present: 3 }),
            status(&CliError::Lie { collection: CollectionName::memories(), reason: String::new() }),
            status(&VaultError::Client(ClientError::NotConnected)),
            status(&ClientError::Stopped),
            status(&SignInError::Api(ApiError::Status { status: 503 })),
            status(&ApiError::Status { status: 404 }),
            status(&std::io::Error::other("a disk")),
        ];
        assert_eq!(statuses, [3, 4, 3, 4, 5, 3, 4, 5, 6, 5, 4, 1, 4, 4, 1]);
        for status in ["  1  ", "  3  ", "  4  ", "  5  ", "  6  "] {
            assert!(STATUSES.contains(status));
        }
    }

    #[test]
    fn what_the_node_lies_about_has_a_status_of_its_own() {
        let device =
            DeviceAddress { account_id: AccountId::from_bytes([1; 16]), device_id: DeviceId::from_bytes([2; 16]) };
        let forged = VerifyError::Signature { part: "device list" };
        let lies = [
            MachineError::IdentityChanged { account: device.account_id },
            MachineError::OwnRootChanged,
            MachineError::StaleDeviceList { known: 2, given: 1 },
            MachineError::ForkedDeviceList,
            MachineError::StalePrekeys { device },
            MachineError::Verify(forged),
        ];
        for lie in lies {
            assert_eq!(status(&ClientError::Machine(lie)), CHANGED, "{lie}");
            assert_eq!(status(&VaultError::Client(ClientError::Machine(lie))), CHANGED, "{lie}");
        }
        let policy = RoomPolicy::default();
        let others = [
            ClientError::OtherRootKey,
            ClientError::Verify(forged),
            ClientError::Api(ApiError::Mismatch),
            ClientError::SignIn(SignInError::Api(ApiError::Mismatch)),
            ClientError::PolicyChanged { room: RoomId::from_bytes([3; 16]), pinned: policy, shown: policy },
        ];
        for other in &others {
            assert_eq!(status(other), CHANGED, "{other}");
        }
        assert_eq!(status(&ApiError::Mismatch), CHANGED);
        // What is no lie is none.
        for fault in [MachineError::UnknownDevice { device }, MachineError::TooManyAccounts] {
            assert_eq!(status(&ClientError::Machine(fault)), FAILED, "{fault}");
        }
    }

    #[test]
    fn why_the_node_is_not_believed_is_said() {
        for reason in [ErrorCode::ForkedDeviceList, ErrorCode::OwnRootChanged, ErrorCode::SignatureInvalid] {
            let error = CliError::Distrusted { reason };
            assert_eq!(status(&error), CHANGED);
            assert!(error.to_string().ends_with(reason.as_str()), "{error}");
        }
    }
}
