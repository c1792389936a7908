//! The form of every error over REST: `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};

use super::error_code::ErrorCode;

/// An error. Clients branch on [`code`](Self::code); the rest is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, stable.
    pub code: ErrorCode,
    /// The same for people.
    pub title: String,
    /// What it was about in this case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// What is there now, where the call was for another version: of an item, or the revision of a collection.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub present: Option<u64>,
}

impl Problem {
    /// The media type.
    pub const MEDIA_TYPE: &str = "application/problem+json";
}
