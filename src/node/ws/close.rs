//! Why the node closes a socket: codes from whose range a client knows what to do.
//!
//! | range | what a client does |
//! | --- | --- |
//! | 4000 to 4099 | connects again, and resumes from its positions |
//! | 4100 to 4199 | signs in or refreshes, then connects again |
//! | 4200 to 4299 | does not connect again by itself |
//!
//! Codes below 4000 are those of RFC 6455, section 7.4.1.

/// Why the node closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The client has closed.
    Normal,
    /// Against the WebSocket protocol.
    Protocol,
    /// A text that is not UTF-8.
    NotUtf8,
    /// A message over the limit.
    TooLong,
    /// The node stops.
    Restart,
    /// Nothing came from the client for too long.
    Silent,
    /// The client does not read.
    Stalled,
    /// The node made a mistake, or its store is not available.
    Internal,
    /// No `hello` in time, or with what is not good.
    NotSignedIn,
    /// The access token has expired and no other one came.
    Expired,
    /// The session was ended, or its device removed.
    Ended,
    /// Another socket of the same device took over.
    Replaced,
    /// What the client sends is not understood.
    Misused,
}

impl CloseCode {
    /// The code as it is sent.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLong => 1009,
            Self::Restart => 4000,
            Self::Silent => 4001,
            Self::Stalled => 4002,
            Self::Internal => 4003,
            Self::NotSignedIn => 4100,
            Self::Expired => 4101,
            Self::Ended => 4102,
            Self::Replaced => 4200,
            Self::Misused => 4201,
        }
    }
}
