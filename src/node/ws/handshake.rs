//! Who may have a socket: the checks before the answer `101 Switching Protocols`.
//!
//! Source: RFC 6455, section 4.2.

use actix_http::RequestHead;
use actix_http::header::{HeaderMap, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use actix_http::ws;

use crate::node::config::WebAddress;
use crate::wire::{Encoding, ErrorCode};

/// The path of the socket.
pub const PATH: &str = "/ws";

/// A request that gets a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The form of its messages.
    pub encoding: Encoding,
    accept: [u8; 28],
}

impl Accepted {
    /// Checks a request. A page's `Origin` has to be one of `origins`; other clients send none.
    ///
    /// # Errors
    /// The code of the refusal.
    pub fn check<'a>(head: &RequestHead, origins: impl IntoIterator<Item = &'a WebAddress>) -> Result<Self, ErrorCode> {
        if head.uri.path() != PATH {
            return Err(ErrorCode::NotFound);
        }
        ws::verify_handshake(head).map_err(|_| ErrorCode::MalformedRequest)?;
        if !is_from_allowed_origin(head.headers(), origins) {
            return Err(ErrorCode::OriginRefused);
        }
        let encoding = encoding(head.headers()).ok_or(ErrorCode::SubprotocolMissing)?;
        // `verify_handshake` has seen it.
        let key = head.headers().get(SEC_WEBSOCKET_KEY).ok_or(ErrorCode::MalformedRequest)?;
        Ok(Self { encoding, accept: ws::hash_key(key.as_bytes()) })
    }

    /// The answer that turns the connection into a socket.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n".to_vec();
        bytes.extend_from_slice(b"sec-websocket-accept: ");
        bytes.extend_from_slice(&self.accept);
        bytes.extend_from_slice(b"\r\nsec-websocket-protocol: ");
        bytes.extend_from_slice(self.encoding.subprotocol().as_bytes());
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    }
}

fn is_from_allowed_origin<'a>(headers: &HeaderMap, origins: impl IntoIterator<Item = &'a WebAddress>) -> bool {
    let mut given = headers.get_all(ORIGIN);
    match (given.next(), given.next()) {
        (None, _) => true,
        (Some(origin), None) => origins.into_iter().any(|allowed| allowed.origin().as_bytes() == origin.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// The first encoding of the client's that the node has.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let names = |name: HeaderName| headers.get_all(name).filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
    let offered = names(SEC_WEBSOCKET_PROTOCOL).join(",");
    offered
        .split(',')
        .map(str::trim)
        .find_map(|offer| Encoding::ALL.into_iter().find(|encoding| encoding.subprotocol() == offer))
}
