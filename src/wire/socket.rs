//! What is said over the socket: commands of a client, and messages of the node.
//!
//! Each is one WebSocket message: an object with one member, whose name says what it is. In JSON it is a
//! text message, `{"join":{"id":7,"room_id":"YSBy.."}}`; in CBOR a binary message of the same form. A
//! command has an `id`, which the client chooses and the answer repeats: `{"ok":{"id":7}}` or
//! `{"error":{"id":7,"code":"unknown_room"}}`.

use serde::{Deserialize, Serialize};

use super::bytes::ByteString;
use super::envelope::Envelope;
use super::error_code::ErrorCode;
use super::limits::{COMMAND_BYTES_MAX, COMMAND_ENVELOPES_MAX};
use super::list;
use super::log_page::{LogPage, PageLimit};
use super::policy::RoomPolicy;
use super::position::Position;
use super::room::MembershipProofBytes;
use super::room_keys::RoomKey;
use super::secret_text::SecretText;
use super::timestamp::Timestamp;
use crate::ids::{AccountId, DeviceAddress, KeyId, RoomId, SessionId};

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Says who is there. It is the first command, and comes once.
    Hello {
        /// Of the answer.
        id: u32,
        /// How: an access token, a ticket, or neither if the request for the socket had a token.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        credential: Option<Credential>,
        /// How far the device has saved its mailbox. Without it, everything that it has not acknowledged comes.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mailbox: Option<Position>,
    },
    /// Asks for what happens in a room from now on, and for what came after a position.
    Join {
        /// Of the answer.
        id: u32,
        /// Which room.
        room_id: RoomId,
        /// How far the device has read the room. Without it, only what comes from now on is sent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        after: Option<Position>,
    },
    /// Asks for no more of a room. The account stays a member.
    Leave {
        /// Of the answer.
        id: u32,
        /// Which room.
        room_id: RoomId,
    },
    /// Sends an envelope to a room that was joined.
    Send {
        /// Of the answer.
        id: u32,
        /// What is sent.
        envelope: Envelope,
    },
    /// Sends envelopes to mailboxes, at most [`COMMAND_ENVELOPES_MAX`].
    Deliver {
        /// Of the answer.
        id: u32,
        /// What is sent, each to the device that it names.
        #[serde(deserialize_with = "list::at_most::<COMMAND_ENVELOPES_MAX, _, _>")]
        envelopes: Vec<Envelope>,
    },
    /// Says that the device has saved its mailbox up to a position; the node deletes that.
    Ack {
        /// Of the answer.
        id: u32,
        /// The last that is saved.
        position: Position,
    },
    /// Asks for a page of a room's log.
    History {
        /// Of the answer.
        id: u32,
        /// Which room.
        room_id: RoomId,
        /// The page begins after this number.
        after: u64,
        /// Entries.
        #[serde(default)]
        limit: PageLimit,
    },
    /// Sends a WebRTC offer, answer or candidate to a member's device. It is not stored.
    Signal {
        /// Of the answer.
        id: u32,
        /// The room in which they meet.
        room_id: RoomId,
        /// To whom.
        to: DeviceAddress,
        /// What it is.
        kind: SignalKind,
        /// Sealed by the client.
        payload: ByteString,
    },
    /// Says that the user writes, or has stopped.
    Typing {
        /// Of the answer.
        id: u32,
        /// Where.
        room_id: RoomId,
        /// Which of the two.
        state: TypingState,
    },
    /// Brings the session's next access token, after a refresh over REST.
    Refresh {
        /// Of the answer.
        id: u32,
        /// The token.
        token: SecretText,
    },
    /// Asks for an answer.
    Ping {
        /// Of the answer.
        id: u32,
    },
}

/// How a socket shows who it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A session's access token.
    Token(SecretText),
    /// A ticket, which is good once and for seconds: for pages, whose scripts then need no token in a socket.
    Ticket(SecretText),
}

/// What a WebRTC signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// A session description that asks.
    Offer,
    /// A session description that answers.
    Answer,
    /// An ICE candidate.
    Candidate,
}

/// Whether somebody writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypingState {
    /// They do.
    Started,
    /// They do not any more. It also ends by itself, [`TYPING_TTL`](super::limits::TYPING_TTL) after it started.
    Stopped,
}

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// At least one socket of the account has joined the room.
    Online,
    /// None has any more.
    Offline,
}

/// What the node says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The answer to a command that was carried out.
    Ok(Answer),
    /// The answer to a command that was not.
    Error {
        /// Of the command; 0 if none could be read.
        id: u32,
        /// Why not.
        code: ErrorCode,
        /// How long to wait before trying again, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        retry_after_ms: Option<u64>,
    },
    /// Who the socket is of. It comes before the answer to `hello`.
    Welcome {
        /// The device.
        device: DeviceAddress,
        /// The session.
        session_id: SessionId,
        /// Until when the access token is good.
        expires_at: Timestamp,
        /// The node's time.
        now: Timestamp,
    },
    /// An envelope of a room.
    Envelope(Entry),
    /// An envelope of the device's mailbox.
    Direct(Entry),
    /// What was missing has been sent; what comes now is new.
    CaughtUp {
        /// Which log.
        log: Log,
        /// Its last position; none if nothing was ever in it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        position: Option<Position>,
    },
    /// Something between the position that the client gave and the next that it gets is not there any more: the log is
    /// another one, or shorter than the client has seen.
    Gap {
        /// Which log.
        log: Log,
        /// Where it goes on: after this position; none if nothing is in it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        position: Option<Position>,
    },
    /// An account has become a member, or has proven anew that it was let in.
    MemberJoined {
        /// Of which room.
        room_id: RoomId,
        /// Who.
        account_id: AccountId,
        /// That they were let in by a member; none if their client has said nothing of it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        proof: Option<MembershipProofBytes>,
    },
    /// An account is no member any more.
    MemberLeft {
        /// Of which room.
        room_id: RoomId,
        /// Who.
        account_id: AccountId,
    },
    /// The room takes no more envelopes.
    RoomClosed {
        /// Which room.
        room_id: RoomId,
    },
    /// Somebody has come to a room or gone from it.
    Presence {
        /// The room.
        room_id: RoomId,
        /// Who.
        account_id: AccountId,
        /// Which of the two.
        state: Presence,
    },
    /// Somebody writes, or has stopped.
    Typing {
        /// Where.
        room_id: RoomId,
        /// Whose device.
        device: DeviceAddress,
        /// Which of the two.
        state: TypingState,
    },
    /// A WebRTC signal.
    Signal {
        /// The room in which they meet.
        room_id: RoomId,
        /// From whom; the node has checked that.
        from: DeviceAddress,
        /// What it is.
        kind: SignalKind,
        /// As it was sent.
        payload: ByteString,
    },
    /// A member has a new key in a room.
    E2eeKeyExchange {
        /// The room.
        room_id: RoomId,
        /// The key.
        key: RoomKey,
    },
    /// A member has a new key in a room in place of an older one, with which nothing is sent any more.
    E2eeKeyRotation {
        /// The room.
        room_id: RoomId,
        /// The new key.
        key: RoomKey,
    },
    /// A member's key in a room counts no more: its owner has revoked it, or it has expired in the node's keeping.
    E2eeKeyRevoke {
        /// The room.
        room_id: RoomId,
        /// Whose key.
        user_id: AccountId,
        /// Which.
        key_id: KeyId,
    },
    /// An account has published another device list.
    DevicesChanged {
        /// Whose.
        account_id: AccountId,
        /// The list's version.
        version: u64,
    },
    /// The node has few one-time keys of the device left.
    PrekeysLow {
        /// One-time prekeys.
        one_time_prekeys: u32,
        /// One-time KEM prekeys.
        one_time_kem_prekeys: u32,
    },
    /// The access token will expire: `refresh` is due.
    SessionExpiring {
        /// When.
        expires_at: Timestamp,
    },
    /// The node stops: connect again, to it or to another.
    Reconnect {
        /// After how long, in milliseconds; different for each socket.
        after_ms: u64,
        /// How long the socket stays open, in milliseconds.
        within_ms: u64,
    },
}

/// What a command has led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Of the command.
    pub id: u32,
    /// What there is to say, for a command that asks for something.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<Outcome>,
}

/// What a command has led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Of `send`: where the envelope stands. It is on disk.
    Sent(Position),
    /// Of `deliver`: for each envelope, in their order, where it stands, or why it does not.
    Delivered(Vec<Delivery>),
    /// Of `join`.
    Joined {
        /// The room's policy.
        policy: RoomPolicy,
        /// The end of its log when the socket joined.
        head: Position,
        /// Who else is there.
        online: Vec<AccountId>,
    },
    /// Of `history`.
    Page(LogPage),
}

/// Where an envelope of a `deliver` stands, or why it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// In the mailbox, on disk.
    Stored(Position),
    /// Nowhere.
    Refused(ErrorCode),
}

/// An envelope and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where.
    pub position: Position,
    /// What.
    pub envelope: Envelope,
}

/// A log that a device follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// A room's.
    Room(RoomId),
    /// The device's own mailbox.
    Mailbox,
}

/// The form of a socket's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Text messages: JSON.
    Json,
    /// Binary messages: CBOR.
    Cbor,
}

impl Encoding {
    /// Every encoding, the one that the node likes best first.
    pub const ALL: [Self; 2] = [Self::Cbor, Self::Json];

    /// The WebSocket subprotocol that stands for it.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "conclave.v1.json",
            Self::Cbor => "conclave.v1.cbor",
        }
    }
}

/// Why bytes are no command. Nothing that the client wrote is repeated in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Over the limit; nothing was parsed.
    #[error("a command has at most {COMMAND_BYTES_MAX} bytes")]
    TooLong,
    /// Not a command in this encoding.
    #[error("not a command")]
    Malformed,
}

impl CommandError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::TooLong => ErrorCode::BodyTooLarge,
            Self::Malformed => ErrorCode::CommandMalformed,
        }
    }
}

impl Command {
    /// The command's id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        match self {
            Self::Hello { id, .. }
            | Self::Join { id, .. }
            | Self::Leave { id, .. }
            | Self::Send { id, .. }
            | Self::Deliver { id, .. }
            | Self::Ack { id, .. }
            | Self::History { id, .. }
            | Self::Signal { id, .. }
            | Self::Typing { id, .. }
            | Self::Refresh { id, .. }
            | Self::Ping { id } => *id,
        }
    }

    /// Parses a command.
    ///
    /// # Errors
    /// [`CommandError`]; nothing past [`COMMAND_BYTES_MAX`] is looked at.
    pub fn parse(bytes: &[u8], encoding: Encoding) -> Result<Self, CommandError> {
        if bytes.len() > COMMAND_BYTES_MAX {
            return Err(CommandError::TooLong);
        }
        parse(bytes, encoding)
    }

    /// The command's form.
    #[must_use]
    pub fn to_bytes(&self, encoding: Encoding) -> Vec<u8> {
        to_bytes(self, encoding)
    }
}

impl Message {
    /// The answer to a command that was carried out and has nothing to say.
    #[must_use]
    pub const fn done(id: u32) -> Self {
        Self::Ok(Answer { id, result: None })
    }

    /// The answer to a command that was carried out.
    #[must_use]
    pub const fn answer(id: u32, result: Outcome) -> Self {
        Self::Ok(Answer { id, result: Some(result) })
    }

    /// The answer to a command that was not carried out.
    #[must_use]
    pub const fn refused(id: u32, code: ErrorCode) -> Self {
        Self::Error { id, code, retry_after_ms: None }
    }

    /// Parses a message of the node.
    ///
    /// # Errors
    /// [`CommandError::Malformed`].
    pub fn parse(bytes: &[u8], encoding: Encoding) -> Result<Self, CommandError> {
        parse(bytes, encoding)
    }

    /// The message's form.
    #[must_use]
    pub fn to_bytes(&self, encoding: Encoding) -> Vec<u8> {
        to_bytes(self, encoding)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8], encoding: Encoding) -> Result<T, CommandError> {
    match encoding {
        Encoding::Json => serde_json::from_slice(bytes).map_err(|_| CommandError::Malformed),
        Encoding::Cbor => {
            let mut rest = bytes;
            let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, CBOR_DEPTH_MAX);
            let value = value.map_err(|_| CommandError::Malformed)?;
            if rest.is_empty() { Ok(value) } else { Err(CommandError::Malformed) }
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "no field's `Serialize` gives an error, maps have texts as their keys, and memory takes every byte"
)]
fn to_bytes(value: &impl Serialize, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => serde_json::to_vec(value).expect("a message has a JSON form"),
        Encoding::Cbor => {
            let mut bytes = Vec::with_capacity(256);
            ciborium::into_writer(value, &mut bytes).expect("a message has a CBOR form");
            bytes
        }
    }
}

/// Nesting of a message in CBOR. The deepest is an envelope's field in a list in a command.
const CBOR_DEPTH_MAX: usize = 16;
