//! Rooms and sessions as actors, and how a message finds its way between them.
//!
//! ```text
//! Session ── send ──► Room ── admits, stores, then publishes ──► Shard ──► every local session's connection
//!    └────── deliver ──► store ──────────── direct ────────────────────────► the recipient's Session
//! ```
//!
//! - `Supervisor`: starts rooms on the worker that their id hashes to, again if one has panicked, and
//!   forgets those that nobody uses. [`Routes`] is its map of rooms, devices and shards; a lookup
//!   waits for no actor.
//! - `Room`: who is in it, what it admits, the order of its log. Its rules are
//!   `RoomState`, which needs no runtime.
//! - `Shard`: one on each worker; knows which sessions of the worker have joined which rooms.
//! - `Session`: one for each socket. It owns its connection.
//!
//! What is stored is the truth and what actors tell each other a hint. A publication that is lost, or does not
//! fit into a connection's queue, is seen as a hole in the numbers (`Cursor`), and the session
//! reads the log from there. So every queue may be bounded:
//!
//! | queue | when it is full |
//! | --- | --- |
//! | a room's mailbox, a shard's, a session's | the message is refused and counted ([`Routes::refused`]); what is not stored and lasts is told again |
//! | what a room admits and has not stored | the sender is told `unavailable` |
//! | a connection's frames | events are read from the log later; commands are not read; who would miss something else that lasts is cut off |
//!
//! A node that is killed loses presence, typing and replay caches. The first two are made again by the
//! sockets that come back; the caches stand before the store's rule that an envelope's id is stored once.

mod census;
mod cursor;
mod mailbox;
mod meter;
#[cfg(test)]
pub(in crate::node) mod one_room;
mod owed;
mod publication;
mod room;
mod room_state;
mod routes;
mod session;
mod shard;
mod signers;
mod supervisor;
mod upgrade;

pub use census::Census;
pub use room::Changed as RoomChange;
pub use routes::Routes;
pub use shard::Shard;
pub use signers::Signers;
pub use supervisor::Supervisor;
pub use upgrade::Upgrades;
