//! Calls that a client may make again without acting twice: those with a header `Idempotency-Key`.
//!
//! The key is the client's choice, new for each thing that it wants, for example 16 random bytes. The same call of the
//! same account with it has the same answer for a day, also after a restart, and acts once. Another call with it is
//! refused. What was refused may be made again.
//!
//! Only calls that answer with nothing secret take a key: what they answered is kept. A call that answers a token does not
//! (an invitation that was made twice stands in the list, and can be withdrawn), and those that do no more the second time
//! need none.
//!
//! Source: draft-ietf-httpapi-idempotency-key-header-07.

use core::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::ApiError;
use crate::ids::AccountId;
use crate::node::store::Once;
use crate::wire::{ErrorCode, Timestamp};

/// The header.
pub(super) const HEADER: &str = "idempotency-key";

/// Characters of a key.
pub(super) const KEY_MAX: usize = 64;

/// The key of a call, if it has one: its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdempotencyKey(Option<[u8; 32]>);

impl IdempotencyKey {
    /// What makes the call act once. The request is its name and what it was asked with.
    ///
    /// # Errors
    /// `internal` for what has no JSON form.
    pub(super) fn once(
        self,
        account_id: AccountId,
        request: (&str, &impl Serialize),
        now: Timestamp,
    ) -> Result<Option<Once>, ApiError> {
        let Some(key_hash) = self.0 else { return Ok(None) };
        let request = serde_json::to_vec(&request).map_err(|error| ApiError::internal(&error))?;
        Ok(Some(Once { account_id, key_hash, request_hash: Sha256::digest(request).into(), now }))
    }
}

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut headers = request.headers().get_all(HEADER);
        ready(match (headers.next(), headers.next()) {
            (None, _) => Ok(Self(None)),
            (Some(header), None) => match header.to_str().ok().and_then(key) {
                Some(key) => Ok(Self(Some(Sha256::digest(key).into()))),
                None => Err(malformed()),
            },
            (Some(_), Some(_)) => Err(malformed()),
        })
    }
}

/// The key in a header: a text in quotes as the draft has it, or without them.
fn key(header: &str) -> Option<&str> {
    let quoted = header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(header);
    let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b','));
    ((1..=KEY_MAX).contains(&key.len()) && is_plain).then_some(key)
}

fn malformed() -> ApiError {
    ApiError::with_detail(
        ErrorCode::MalformedRequest,
        format!("an Idempotency-Key has 1 to {KEY_MAX} plain characters"),
    )
}

#[cfg(test)]
mod tests {
    use super::{KEY_MAX, key};

    #[test]
    fn a_key_is_the_same_in_quotes_and_without() {
        assert_eq!(key("\"8e03978e-40d5\""), Some("8e03978e-40d5"));
        assert_eq!(key("8e03978e-40d5"), Some("8e03978e-40d5"));
        assert_eq!(key(&"x".repeat(KEY_MAX)).map(str::len), Some(KEY_MAX));
        for bad in ["", "\"\"", "\"a", "a b", "a,b", "a\\b", "\"a\"b\"", &"x".repeat(KEY_MAX + 1)] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }
}
