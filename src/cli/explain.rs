//! Errors in the words of a person at a terminal.

use std::error::Error;

use crate::client::vault::VaultError;
use crate::client::{ApiError, ClientError, SignInError, StoreError};
use crate::protocol::keystore::KeystoreError;
use crate::wire::ErrorCode;

/// What is said of an error on standard error: what it is, and what it goes back to where its words leave that out, as those of
/// libraries do.
pub(super) fn explain(error: &(dyn Error + 'static)) -> String {
    if let Some(StoreError::Keystore(KeystoreError::Open)) = error.downcast_ref() {
        return "the passphrase is wrong, or the profile is damaged".to_owned();
    }
    if let Some(ClientError::NotConnected) = error.downcast_ref() {
        return "the node is not reached: `conclave whoami` shows where it should be".to_owned();
    }
    if let Some(code) = refusal(error)
        && let Some(words) = words(code)
    {
        return format!("{words} ({})", code.as_str());
    }
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    let said = error.to_string();
    match cause.map(ToString::to_string) {
        Some(cause) if !said.contains(&cause) => format!("{said}: {cause}"),
        _ => said,
    }
}

/// The code by which the node refuses, if that is what happened.
fn refusal(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    let of_client = |error: &ClientError| match error {
        ClientError::Api(error) | ClientError::SignIn(SignInError::Api(error)) => error.code(),
        _ => None,
    };
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return of_client(error);
    }
    match (error.downcast_ref::<VaultError>(), error.downcast_ref::<SignInError>()) {
        (Some(VaultError::Client(error)), _) => of_client(error),
        (_, Some(SignInError::Api(error))) => error.code(),
        _ => error.downcast_ref::<ApiError>().and_then(ApiError::code),
    }
}

/// What a refusal means to somebody who types commands; none for those that they do not bring about.
pub(super) const fn words(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::InvitationRefused => "the invitation is not known, was used or has expired: ask for another",
        ErrorCode::UnknownRoom => "there is no such room, or you are not in it",
        ErrorCode::UnknownMember => "they are not in the room",
        ErrorCode::RoleForbids => "your role in the room does not allow it",
        ErrorCode::LastOwner => "you are the room's last owner, and others are in it: remove them first",
        ErrorCode::RoomClosed => "the room is closed",
        ErrorCode::TooManyMembers => "the room is full",
        ErrorCode::TooManyRooms => "you are in as many rooms as the node allows",
        ErrorCode::TooManyInvitations => "the room has as many invitations as the node allows",
        ErrorCode::UnknownAccount => "there is no such account on this node, or it has no device yet",
        ErrorCode::UnknownProvider => "the node has no such provider to sign in with",
        ErrorCode::AccessDenied | ErrorCode::CodeRefused | ErrorCode::FlowRefused => "the sign-in was refused",
        ErrorCode::ProviderUnavailable => "the provider does not answer",
        ErrorCode::TokenRefused | ErrorCode::RefreshRefused | ErrorCode::RefreshReused => {
            "the session has ended: `conclave login`"
        }
        ErrorCode::RateLimited => "that was too often: wait a little",
        ErrorCode::Unavailable => "the node cannot do it now: try again",
        ErrorCode::VaultFull | ErrorCode::TooManyVaultItems => "the vault is full: delete something first",
        ErrorCode::TooManyCollections => "the vault has as many collections as the node allows",
        ErrorCode::MailboxFull => "too much waits for them on the node: they were away for long",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: ErrorCode) -> ApiError {
        ApiError::Refused { code, retry_after: None }
    }

    #[test]
    fn a_refusal_is_said_in_words_with_its_code_however_deep_it_stands() {
        let errors: [Box<dyn Error>; 4] = [
            refused(ErrorCode::RoomClosed).into(),
            ClientError::Api(refused(ErrorCode::RoomClosed)).into(),
            VaultError::Client(ClientError::Api(refused(ErrorCode::RoomClosed))).into(),
            SignInError::Api(refused(ErrorCode::RoomClosed)).into(),
        ];
        for error in errors {
            assert_eq!(explain(&*error), "the room is closed (room_closed)");
        }
        assert_eq!(explain(&refused(ErrorCode::NotFound)), "the node refuses: not_found");
    }

    #[test]
    fn what_an_error_goes_back_to_is_said_once() {
        let disk = || std::io::Error::other("the disk is full");
        assert_eq!(explain(&StoreError::from(disk())), "the store is not available: the disk is full");
        assert_eq!(explain(&disk()), "the disk is full");
        let wrong = StoreError::Keystore(KeystoreError::Open);
        assert_eq!(explain(&wrong), "the passphrase is wrong, or the profile is damaged");
    }
}
