//! The socket: the handshake, the protocol's frames, and one connection's reading and writing.
//!
//! It owns bytes and knows nothing of rooms: what a command means is the session's business
//! (`node::actors`). REST is actix-web's; an upgrade leaves it, and from then on the stream is ours.
//!
//! - [`frame`]: RFC 6455's frames. [`close`]: the codes. [`handshake`]: who may have a socket.
//! - [`connection`]: a stream with its bounded queue of frames. [`shared`]: a message that is encoded once for many.

pub mod close;
pub mod connection;
pub mod frame;
pub mod handshake;
pub mod shared;

pub use close::CloseCode;
pub use connection::{Arrival, Connection, ConnectionError, Full, Incomings, Stream, Turn};
pub use shared::SharedMessage;
