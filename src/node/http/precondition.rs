//! Which version of a thing a call is for (RFC 9110, section 13.1): `If-Match: "n"`, or `If-None-Match: *` where there is none
//! yet. A version's number is its entity tag.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest};

use super::error::ApiError;
use crate::wire::ErrorCode;

/// What a call says of the version that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// There is none yet.
    Absent,
    /// It is this one.
    Version(u64),
    /// Nothing is said.
    Missing,
    /// Something else is said: several versions, a weak tag, no number.
    Malformed,
}

impl Precondition {
    /// The version that the call is for; 0 if there is none yet.
    ///
    /// # Errors
    /// `precondition_missing`, `malformed_request`.
    pub(super) fn version(self) -> Result<u64, ApiError> {
        match self {
            Self::Absent => Ok(0),
            Self::Version(version) => Ok(version),
            Self::Missing => Err(ApiError::new(ErrorCode::PreconditionMissing)),
            Self::Malformed => {
                Err(ApiError::with_detail(ErrorCode::MalformedRequest, "either If-Match: \"n\", or If-None-Match: *"))
            }
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        match (one(headers, &IF_MATCH), one(headers, &IF_NONE_MATCH)) {
            (Ok(None), Ok(None)) => Self::Missing,
            (Ok(None), Ok(Some("*"))) => Self::Absent,
            (Ok(Some(tag)), Ok(None)) => version(tag).map_or(Self::Malformed, Self::Version),
            _ => Self::Malformed,
        }
    }
}

impl FromRequest for Precondition {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request.headers())))
    }
}

/// The text of a header that is there once or not at all.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// The version in a strong tag: its number as it is written, from 1.
fn version(tag: &str) -> Option<u64> {
    let number = tag.strip_prefix('"')?.strip_suffix('"')?;
    let version = number.parse().ok()?;
    // One version has one tag.
    (version > 0 && number.starts_with(|first: char| matches!(first, '1'..='9'))).then_some(version)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn one_version_or_none_is_said() {
        let of = |headers: &[(HeaderName, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(name.clone(), value.parse().unwrap());
            }
            Precondition::of(&map)
        };

        assert_eq!(of(&[]), Precondition::Missing);
        assert_eq!(of(&[(IF_NONE_MATCH, "*")]), Precondition::Absent);
        assert_eq!(of(&[(IF_MATCH, "\"7\"")]), Precondition::Version(7));
        for tag in ["*", "7", "W/\"7\"", "\"7\", \"8\"", "\"\"", "\"0\"", "\"07\"", "\"+7\"", "\"-1\"", "\"7", "\"x\""]
        {
            assert_eq!(of(&[(IF_MATCH, tag)]), Precondition::Malformed, "{tag}");
        }
        assert_eq!(of(&[(IF_NONE_MATCH, "\"7\"")]), Precondition::Malformed);
        assert_eq!(of(&[(IF_MATCH, "\"7\""), (IF_NONE_MATCH, "*")]), Precondition::Malformed);
        assert_eq!(of(&[(IF_MATCH, "\"7\""), (IF_MATCH, "\"7\"")]), Precondition::Malformed);
    }
}
