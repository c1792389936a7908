//! The one error of every call: a status, a stable code, text for the caller and nothing of the cause.

use core::fmt;
use core::time::Duration;
use std::error::Error;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use tracing::{error, warn};

use crate::node::entropy::EntropyError;
use crate::node::store::StoreError;
use crate::protocol::public::VerifyError;
use crate::wire::{ErrorCode, Problem};

/// Why a call failed. The cause of what is the node's own fault is in the log.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    detail: Option<String>,
    present: Option<u64>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// An error with its code alone.
    #[must_use]
    pub const fn new(code: ErrorCode) -> Self {
        Self { code, detail: None, present: None, retry_after: None }
    }

    /// An error and what it was about: text that the caller sent, or may know.
    #[must_use]
    pub fn with_detail(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new(code) }
    }

    /// The call was for another version than the present one.
    #[must_use]
    pub fn with_present(code: ErrorCode, present: u64) -> Self {
        Self { present: Some(present), ..Self::new(code) }
    }

    /// Too many requests; one will be answered after `wait`.
    #[must_use]
    pub fn rate_limited(wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(ErrorCode::RateLimited) }
    }

    /// The node cannot answer now. The cause goes into the log.
    pub fn unavailable(cause: &(dyn Error + 'static)) -> Self {
        error!(target: "http", cause = %Chain(cause), "unavailable");
        Self { retry_after: Some(RETRY_UNAVAILABLE), ..Self::new(ErrorCode::Unavailable) }
    }

    /// A sign-in provider cannot be used now. The cause goes into the log.
    pub fn provider_unavailable(cause: &(dyn Error + 'static)) -> Self {
        warn!(target: "http", cause = %Chain(cause), "a sign-in provider is unavailable");
        Self { retry_after: Some(RETRY_PROVIDER), ..Self::new(ErrorCode::ProviderUnavailable) }
    }

    /// A fault of the node. The cause goes into the log.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        error!(target: "http", cause = %Chain(cause), "internal error");
        Self::new(ErrorCode::Internal)
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }
}

/// How long a client waits when the node cannot answer.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(2);

/// How long it waits when a provider does not answer: the node does not ask more often either.
const RETRY_PROVIDER: Duration = Duration::from_secs(10);

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)
    }
}

impl Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(shape(self.code).0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CACHE_CONTROL, "no-store"));
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: after them the call is answered.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.insert_header((RETRY_AFTER, seconds.max(1)));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        let (status, title) = shape(self.code);
        let Self { code, detail, present, retry_after: _ } = self;
        let problem =
            Problem { status, code: *code, title: title.to_owned(), detail: detail.clone(), present: *present };
        let body = serde_json::to_string(&problem).unwrap_or_default();
        response.content_type(Problem::MEDIA_TYPE).body(body)
    }
}

/// The status and the title of each code. Those that only a client meets have a common one.
#[expect(clippy::too_many_lines, reason = "a table: a line for each code, so that a new one is not forgotten")]
pub(super) const fn shape(code: ErrorCode) -> (u16, &'static str) {
    use ErrorCode as Code;
    match code {
        Code::MalformedRequest => (400, "The request is not what this call takes."),
        Code::FlowRefused => (400, "No sign-in with this state is under way. Start again."),
        Code::CodeRefused => (400, "The provider does not accept the code. Start again."),
        Code::RedirectRefused => (400, "The browser may not be sent to this address."),
        Code::UnknownProvider => (400, "There is no such sign-in provider."),
        Code::AuthorizationPending => (400, "Nobody has signed the device in yet. Ask again."),
        Code::SlowDown => (400, "The device asks too often. Wait five seconds longer from now on."),
        Code::ExpiredToken => (400, "Nobody waits with this device code. Begin again."),
        Code::AccessDenied => (400, "The sign-in was refused."),
        Code::TokenMissing => (401, "This call needs an access token."),
        Code::TokenRefused => (401, "The access token is not good. Refresh it, or sign in."),
        Code::RefreshRefused => (401, "The refresh token is not good. Sign in."),
        Code::RefreshReused => (401, "The refresh token was used before. The session has ended: sign in."),
        Code::InvitationRefused => (400, "The invitation is unknown, expired, used up, or for somebody else."),
        Code::SubprotocolMissing => (400, "A socket needs one of the subprotocols that the node speaks."),
        Code::OriginRefused => (403, "Pages of this origin may not open a socket."),
        Code::OwnerMismatch => (403, "It belongs to another account or device."),
        Code::DeviceProofRefused => (403, "The signature is not that of the device."),
        Code::RoleForbids => (403, "Your role in the room does not allow it."),
        Code::NotFound => (404, "There is nothing here."),
        Code::UnknownAccount => (404, "The account is not known, or has no devices."),
        Code::UnknownDevice => (404, "The device is not on its account's list."),
        Code::UnknownSession => (404, "There is no such session."),
        Code::NoPrekeys => (404, "The device has published no prekeys."),
        Code::UnknownRoom => (404, "There is no such room, or you are no member of it."),
        Code::UnknownMember => (404, "The account is no member of the room."),
        Code::UnknownInvitation => (404, "The room has no such invitation."),
        Code::UnknownVaultItem => (404, "Your vault has no such item."),
        Code::TurnNotConfigured => (404, "The node knows no TURN server."),
        Code::MethodNotAllowed => (405, "This path has no such method."),
        Code::RequestTimeout => (408, "The request took too long."),
        Code::DeviceNotBound => (409, "The session has not said which device it is of."),
        Code::SessionBound => (409, "The session is of another device."),
        Code::RootKeyChanged => (409, "The account's root key is another one."),
        Code::StaleDeviceList => (409, "A newer device list is known."),
        Code::ForkedDeviceList => (409, "Another device list of this version is known."),
        Code::TooManyPrekeys => (409, "The node keeps no more one-time prekeys of a device."),
        Code::LastOwner => (409, "The room would be left without an owner."),
        Code::RoomClosed => (409, "The room is closed."),
        Code::TooManyMembers => (409, "The room has as many members as it may."),
        Code::TooManyRooms => (409, "The account is in as many rooms as it may be."),
        Code::NoRoomKeys => (404, "The member has no keys in this room. Generate them first."),
        Code::UnknownRoomKey => (404, "You have no such key in this room."),
        Code::CustodyIsClient => (409, "The keys of this room are with its clients."),
        Code::RoomKeyRevoked => (409, "The key was revoked."),
        Code::RoomKeyReplaced => (409, "The key was rotated; another one is in its place."),
        Code::RoomKeyExpired => (409, "The key has expired."),
        Code::TooManyRoomKeys => (409, "The node holds as many keys as it may."),
        Code::RoomExists => (409, "There is a room with this id. Draw another one at random."),
        Code::TooManyInvitations => (409, "The room has as many invitations as it may."),
        Code::TooManyIdempotencyKeys => (409, "The account has as many idempotency keys as it may. They expire."),
        Code::VaultRevisionConflict => (409, "The collection was written meanwhile. Read on, and write again."),
        Code::TooManyVaultItems => (409, "Your vault has as many items as it may, deleted ones included."),
        Code::TooManyCollections => (409, "Your vault has as many collections as it may."),
        Code::VaultFull => (409, "The items of your vault are as long together as they may be."),
        Code::OtherLogEpoch => (409, "The position is of a log that is no more. Read from the beginning."),
        Code::PositionAhead => (409, "The position is past the head of the log."),
        Code::MailboxFull => (409, "The device's mailbox is full."),
        Code::VaultItemDeleted => (410, "The item was deleted."),
        Code::VaultVersionConflict => (412, "Another version of the item is there. Read it, and write again."),
        Code::BodyTooLarge => (413, "The body is over this call's limit."),
        Code::UnsupportedMediaType => (415, "The body is not of the content type that this call takes."),
        Code::DeviceListMalformed => (422, "The device list is over its limit or out of order."),
        Code::KeyUnacceptable => (422, "A public key is not canonical, or of low or mixed order."),
        Code::KeyIdMismatch => (422, "A key id is not that of the key beside it."),
        Code::PrekeysMalformed => (422, "The prekeys are over a limit, or a KEM prekey is of another use."),
        Code::IdempotencyKeyReused => (422, "The idempotency key was used for another request."),
        Code::SignatureInvalid => (422, "A signature does not hold."),
        Code::CustodyDisabled => (422, "This node keeps no keys of rooms."),
        Code::ProtectionUnsupported => (422, "This node carries no rooms that are protected in this way."),
        Code::PreconditionMissing => (428, "Say which version it is for: If-Match: \"n\", or If-None-Match: *."),
        Code::RateLimited => (429, "Too many requests. Wait, then try again."),
        Code::Internal => (500, "The node made a mistake."),
        Code::ProviderUnavailable => (503, "The sign-in provider does not answer as it should. Try again."),
        Code::Unavailable => (503, "The node cannot answer now. Try again."),
        Code::CommandMalformed
        | Code::HelloExpected
        | Code::HelloTwice
        | Code::AlreadyJoined
        | Code::NotJoined
        | Code::EnvelopeReplayed
        | Code::IdentityChanged
        | Code::NoSuchIdentity
        | Code::OwnRootChanged
        | Code::SignatureMissing
        | Code::SignatureUnexpected
        | Code::NotForThisDevice
        | Code::OwnDevice
        | Code::OtherPolicy
        | Code::NoSession
        | Code::AgreementFailed
        | Code::OpeningReplayed
        | Code::TooManyOpenings
        | Code::TooManyAccounts
        | Code::PrekeyGone
        | Code::MessageMalformed
        | Code::MessageTooLong
        | Code::DoesNotOpen
        | Code::MessageKeyGone
        | Code::MessageKeyGivenUp
        | Code::ChainGone
        | Code::ChainExhausted
        | Code::TooFarAhead
        | Code::SavedStateMalformed
        | Code::StalePrekeys
        | Code::EnvelopeTooLong
        | Code::EnvelopeMalformed
        | Code::EnvelopeVersionUnknown
        | Code::PayloadTooLong
        | Code::TimestampTooOld
        | Code::TimestampTooFarAhead
        | Code::IdentityKeysMismatch
        | Code::SafetyNumberMalformed
        | Code::SafetyNumberVersionUnknown
        | Code::SafetyNumberTheirKey
        | Code::SafetyNumberOurKey
        | Code::SafetyNumberBothKeys
        | Code::VaultItemTooLong
        | Code::VaultItemMalformed
        | Code::VaultItemDoesNotOpen
        | Code::VaultHeadDoesNotOpen
        | Code::VaultRolledBack
        | Code::VaultForked
        | Code::VaultEntriesMismatch
        | Code::VaultItemMismatch
        | Code::VaultItemWithheld
        | Code::NotVouched
        | Code::MemberRemoved
        | Code::PassphraseEmpty
        | Code::PassphraseTooLong
        | Code::KeystoreCostTooLow
        | Code::KeystoreCostTooHigh
        | Code::KeystoreTooLong
        | Code::KeystoreMalformed
        | Code::KeystoreDoesNotOpen
        | Code::RecoveryKeyLength
        | Code::RecoveryKeyCharacter
        | Code::RecoveryKeyChecksum
        | Code::BackupMalformed
        | Code::BackupDoesNotOpen
        | Code::OutOfMemory => (422, "It cannot be carried out."),
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        Self::with_detail(error.code(), error.to_string())
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self { retry_after: (code == ErrorCode::Unavailable).then_some(RETRY_UNAVAILABLE), ..Self::new(code) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownAccount { .. } => Self::new(ErrorCode::UnknownAccount),
            StoreError::UnknownDevice { .. } => Self::new(ErrorCode::UnknownDevice),
            StoreError::UnknownSession { .. } => Self::new(ErrorCode::UnknownSession),
            StoreError::SessionBound { .. } => Self::new(ErrorCode::SessionBound),
            StoreError::OwnerMismatch { .. } => Self::new(ErrorCode::OwnerMismatch),
            StoreError::RootKeyChanged { .. } => Self::new(ErrorCode::RootKeyChanged),
            StoreError::StaleVersion { .. } => Self::new(ErrorCode::StaleDeviceList),
            StoreError::ForkedVersion { .. } => Self::new(ErrorCode::ForkedDeviceList),
            StoreError::TooManyPrekeys { .. } => Self::new(ErrorCode::TooManyPrekeys),
            StoreError::UnknownRoom { .. } => Self::new(ErrorCode::UnknownRoom),
            StoreError::UnknownMember { .. } => Self::new(ErrorCode::UnknownMember),
            StoreError::UnknownInvitation { .. } => Self::new(ErrorCode::UnknownInvitation),
            StoreError::InvitationRefused => Self::new(ErrorCode::InvitationRefused),
            StoreError::RoleForbids { .. } => Self::new(ErrorCode::RoleForbids),
            StoreError::LastOwner { .. } => Self::new(ErrorCode::LastOwner),
            StoreError::RoomClosed { .. } => Self::new(ErrorCode::RoomClosed),
            StoreError::TooManyMembers { .. } => Self::new(ErrorCode::TooManyMembers),
            StoreError::TooManyRooms { .. } => Self::new(ErrorCode::TooManyRooms),
            StoreError::TooManyInvitations { .. } => Self::new(ErrorCode::TooManyInvitations),
            StoreError::OtherRequest => Self::new(ErrorCode::IdempotencyKeyReused),
            StoreError::TooManyKeys { .. } => Self::new(ErrorCode::TooManyIdempotencyKeys),
            StoreError::UnknownVaultItem { .. } => Self::new(ErrorCode::UnknownVaultItem),
            StoreError::VaultItemDeleted { version } => Self::with_present(ErrorCode::VaultItemDeleted, version),
            StoreError::VaultVersion { present } => Self::with_present(ErrorCode::VaultVersionConflict, present),
            StoreError::VaultRevision { present } => Self::with_present(ErrorCode::VaultRevisionConflict, present),
            StoreError::TooManyCollections { .. } => Self::new(ErrorCode::TooManyCollections),
            StoreError::TooManyVaultItems { .. } => Self::new(ErrorCode::TooManyVaultItems),
            StoreError::VaultFull { .. } => Self::new(ErrorCode::VaultFull),
            StoreError::OtherLogEpoch => Self::new(ErrorCode::OtherLogEpoch),
            StoreError::PositionAhead { .. } => Self::new(ErrorCode::PositionAhead),
            StoreError::OutOfRange { .. } => Self::with_detail(ErrorCode::MalformedRequest, error.to_string()),
            StoreError::TooManyFlows { .. }
            | StoreError::Busy
            | StoreError::Closed
            | StoreError::Full
            | StoreError::Unavailable { .. } => Self::unavailable(&error),
            StoreError::IdInUse
            | StoreError::Migration { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Bug { .. } => Self::internal(&error),
        }
    }
}

impl From<EntropyError> for ApiError {
    fn from(error: EntropyError) -> Self {
        Self::unavailable(&error)
    }
}

/// A cause with the causes behind it.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
