//! What is said over REST about sign-in and sessions.

use serde::{Deserialize, Serialize};

use super::secret_text::SecretText;
use super::timestamp::Timestamp;
use crate::ids::{AccountId, DeviceId, SessionId};

/// Answer of `GET /api/auth/providers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Providers {
    /// The providers that are configured and work.
    pub providers: Vec<Provider>,
}

/// One sign-in provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What [`StartFlow`] calls it.
    pub name: String,
}

/// Body of `POST /api/auth/flows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StartFlow {
    /// Which provider.
    pub provider: String,
    /// Where the browser is sent with code and state: a loopback address, or one that the node's
    /// settings name. Without it, to a page of the node that shows both.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub redirect_uri: Option<String>,
}

/// Answer of `POST /api/auth/flows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FlowStarted {
    /// Where the browser goes to sign in. It holds the state.
    pub authorization_url: SecretText,
    /// Comes back with the code. Whoever started the flow checks that it is the same.
    pub state: SecretText,
    /// Until when the flow can be completed.
    pub expires_at: Timestamp,
}

/// Body of `POST /api/auth/flows/complete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CompleteFlow {
    /// The provider's authorization code.
    pub code: SecretText,
    /// The flow's state.
    pub state: SecretText,
    /// The `iss` that the browser came back with, where it did (RFC 9207).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iss: Option<String>,
}

/// Body of `POST /api/auth/device`: a device without a browser wants to be signed in (RFC 8628).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StartDevice {
    /// Which provider.
    pub provider: String,
}

/// Answer of `POST /api/auth/device`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceStarted {
    /// The device asks with it whether it is signed in, and shows it to nobody.
    pub device_code: SecretText,
    /// The device shows it to whoever signs it in: letters in two groups of four.
    pub user_code: SecretText,
    /// The page where they type it.
    pub verification_uri: String,
    /// Seconds to wait between two questions.
    pub interval: u64,
    /// Until when the device can be signed in.
    pub expires_at: Timestamp,
}

/// Body of `POST /api/auth/device/token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AskDevice {
    /// The device's code.
    pub device_code: SecretText,
}

/// Answer of a completed flow and of a refresh: a session's tokens. Each token is good once it is
/// given, for as long as it says; a refresh token is good for one refresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionTokens {
    /// Who signed in.
    pub account_id: AccountId,
    /// The session.
    pub session_id: SessionId,
    /// Stands in `Authorization: Bearer`.
    pub access_token: SecretText,
    /// Until when the access token is good.
    pub access_expires_at: Timestamp,
    /// Gives the next pair of tokens.
    pub refresh_token: SecretText,
    /// Until when the refresh token is good.
    pub refresh_expires_at: Timestamp,
}

/// Body of `POST /api/auth/refresh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The session's refresh token. A second use ends the session.
    pub refresh_token: SecretText,
}

/// Answer of `GET /api/auth/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// The account's sessions.
    pub sessions: Vec<SessionSummary>,
}

/// One session, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionSummary {
    /// The session.
    pub session_id: SessionId,
    /// The device that it is of, once it has said so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device_id: Option<DeviceId>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last took new tokens.
    pub refreshed_at: Timestamp,
    /// Until when it can be refreshed.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub is_this: bool,
}

/// Answer of `POST /api/auth/sign-out-everywhere`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignedOut {
    /// How many sessions were ended.
    pub sessions_ended: u64,
}

/// Answer of `POST /api/ws/ticket`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SocketTicket {
    /// Stands in `hello`. It is good once.
    pub ticket: SecretText,
    /// Until when.
    pub expires_at: Timestamp,
}
