//! Exit statuses: what a script can tell apart.

use std::error::Error;

use crate::client::{ApiError, ClientError, SignInError, StoreError};
use crate::protocol::machine::MachineError;

/// What stands under `--help` of the commands that talk.
pub(super) const STATUSES: &str = "Exit statuses:
  0  done
  1  failed; standard error says why
  2  the command line is wrong
  3  no device is set up in the profile, or its session has ended: `conclave login`
  4  the node is not reached; what was to be sent is kept, and goes with the next command
  5  somebody's identity or a room's policy has changed: look before you go on";

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
    /// A wrong value on the command line that only the profile can tell.
    #[error("{0}")]
    Usage(String),
}

/// The status that an error ends the program with.
pub(super) fn status(error: &(dyn Error + 'static)) -> u8 {
    if let Some(error) = error.downcast_ref::<CliError>() {
        return match error {
            CliError::NoDevice { .. } => SIGN_IN,
            CliError::Waiting => UNREACHABLE,
            CliError::Usage(_) => USAGE,
        };
    }
    if let Some(error) = error.downcast_ref::<ClientError>() {
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
        ClientError::PolicyChanged { .. }
        | ClientError::OtherRootKey
        | ClientError::Machine(MachineError::IdentityChanged { .. }) => CHANGED,
        _ => FAILED,
    }
}

fn of_api(error: &ApiError) -> u8 {
    match error {
        error if error.is_signed_out() => SIGN_IN,
        error if error.is_transient() => UNREACHABLE,
        _ => FAILED,
    }
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const SIGN_IN: u8 = 3;
const UNREACHABLE: u8 = 4;
const CHANGED: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_the_status_that_the_help_names() {
        let statuses = [
            status(&CliError::NoDevice { folder: String::new() }),
            status(&CliError::Waiting),
            status(&ClientError::SignedOut),
            status(&ClientError::NotConnected),
            status(&ClientError::OtherRootKey),
            status(&ClientError::Stopped),
            status(&SignInError::Api(ApiError::Status { status: 503 })),
            status(&ApiError::Status { status: 404 }),
            status(&ApiError::Mismatch),
            status(&std::io::Error::other("a disk")),
        ];
        assert_eq!(statuses, [3, 4, 3, 4, 5, 1, 4, 4, 1, 1]);
        for status in ["  1  ", "  3  ", "  4  ", "  5  "] {
            assert!(STATUSES.contains(status));
        }
    }
}
