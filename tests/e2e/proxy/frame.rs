//! Frames of a socket as they pass.
//!
//! Source: RFC 6455, sections 5.2 and 5.3. Neither the SDK nor the node sends a message in pieces.

use conclave::wire::{Encoding, Message};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;

/// A frame of either side.
pub(super) struct Frame {
    /// As it came.
    pub(super) bytes: Vec<u8>,
    /// What it carries, if that is a whole binary message.
    pub(super) binary: Option<Vec<u8>>,
}

impl Frame {
    /// The next; none if the connection ends.
    pub(super) async fn read(from: &mut BufReader<OwnedReadHalf>) -> Option<Self> {
        let mut bytes = vec![0; 2];
        from.read_exact(&mut bytes).await.ok()?;
        let length_bytes = match bytes[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let key_bytes = if bytes[1] & MASKED == 0 { 0 } else { 4 };
        bytes.resize(2 + length_bytes + key_bytes, 0);
        from.read_exact(&mut bytes[2..]).await.ok()?;
        let length = match length_bytes {
            0 => usize::from(bytes[1] & !MASKED),
            _ => bytes[2..2 + length_bytes].iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)),
        };
        let head = bytes.len();
        bytes.resize(head + length, 0);
        from.read_exact(&mut bytes[head..]).await.ok()?;
        let (head, payload) = bytes.split_at(head);
        let key = head[head.len() - key_bytes..].iter().cycle();
        let binary = (head[0] == BINARY).then(|| match key_bytes {
            0 => payload.to_vec(),
            _ => payload.iter().zip(key).map(|(byte, key)| byte ^ key).collect(),
        });
        Some(Self { bytes, binary })
    }
}

/// The frame in which a node tells a message.
pub(super) fn of(message: &Message) -> Vec<u8> {
    let payload = message.to_bytes(Encoding::Cbor);
    let length = payload.len();
    let head = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..126), _) => vec![BINARY, short],
        (_, Ok(length)) => [&[BINARY, 126], length.to_be_bytes().as_slice()].concat(),
        _ => [&[BINARY, 127], u64::try_from(length).unwrap().to_be_bytes().as_slice()].concat(),
    };
    [head, payload].concat()
}

/// The frame in which a node closes a socket.
pub(super) fn close(code: u16) -> Vec<u8> {
    [&[CLOSE, 2], code.to_be_bytes().as_slice()].concat()
}

const CLOSE: u8 = 0x88;

/// A whole binary message.
const BINARY: u8 = 0x82;

/// Clients mask what they send.
const MASKED: u8 = 0x80;
