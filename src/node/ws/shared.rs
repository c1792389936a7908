//! A message that goes to many sockets.

use std::sync::OnceLock;

use bytes::Bytes;

use super::frame;
use crate::wire::{Encoding, Message};

/// A message with its frames, each of which is made once however many sockets and workers it goes to.
#[derive(Debug)]
pub struct SharedMessage {
    message: Message,
    json: OnceLock<Bytes>,
    cbor: OnceLock<Bytes>,
}

impl SharedMessage {
    /// Takes the message.
    #[must_use]
    pub const fn new(message: Message) -> Self {
        Self { message, json: OnceLock::new(), cbor: OnceLock::new() }
    }

    /// The message.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// Whether it changes what a client must know and can read nowhere in a log. What passes by itself does not last, and what
    /// one socket alone is told is none of this.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self.message {
            Message::MemberJoined { .. }
            | Message::MemberLeft { .. }
            | Message::RoomClosed { .. }
            | Message::Presence { .. }
            | Message::DevicesChanged { .. }
            | Message::E2eeKeyExchange { .. }
            | Message::E2eeKeyRotation { .. }
            | Message::E2eeKeyRevoke { .. } => true,
            Message::Typing { .. }
            | Message::Signal { .. }
            | Message::Envelope(_)
            | Message::Direct(_)
            | Message::CaughtUp { .. }
            | Message::Gap { .. }
            | Message::Ok(_)
            | Message::Error { .. }
            | Message::Welcome { .. }
            | Message::PrekeysLow { .. }
            | Message::SessionExpiring { .. }
            | Message::Reconnect { .. } => false,
        }
    }

    /// Its frame in an encoding.
    pub fn frame(&self, encoding: Encoding) -> Bytes {
        let cell = match encoding {
            Encoding::Json => &self.json,
            Encoding::Cbor => &self.cbor,
        };
        cell.get_or_init(|| of(&self.message, encoding)).clone()
    }
}

/// The frame of a message that goes to one socket.
#[must_use]
pub fn of(message: &Message, encoding: Encoding) -> Bytes {
    let bytes = message.to_bytes(encoding);
    match encoding {
        Encoding::Json => frame::text(&bytes),
        Encoding::Cbor => frame::binary(&bytes),
    }
}
