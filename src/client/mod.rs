//! The SDK: a device that talks end to end encrypted through a node.
//!
//! A [`SignIn`] says who somebody is and gives a session; [`Client::set_up`] makes the account's first device in a
//! [`Store`], [`Client::open`] goes on with it. The [`Client`] is a handle; what happens comes as [`Event`]s.
//!
//! ```text
//! sign_in   who somebody is: tokens            setup   root key, device keys, their certificate
//! api       REST, typed                        store   what is kept, encrypted at rest
//! sync      the worker: one task that owns the protocol machine, the store and the socket
//! rooms, safety, handle   what the app calls   events, message, content   what it is told
//! ```
//!
//! - Keys are made here and never leave. A message leaves sealed for each device of its readers, and is saved before.
//! - The app hears of each message once, whatever the node repeats; after a crash, the one that it was busy with is told
//!   again.
//! - What is sent without a connection waits, and goes byte for byte under the same ids until the node has answered.
//! - A root key that changes and a policy that changes are told, and block sending. A member whom no member has let in is
//!   told, and nothing is sealed for them.
//!
//! What an attacker who is the node can still do: keep messages back, say that a member has left or not tell that one was
//! removed, and outside of rooms show a new account under a root key of its own: root keys are for safety numbers.

mod api;
mod clock;
mod content;
mod devices;
mod entropy;
mod error;
mod events;
mod handle;
mod message;
mod rooms;
mod safety;
mod settings;
mod setup;
mod sign_in;
pub mod store;
mod sync;
pub mod vault;

pub use api::{ApiError, Http};
pub use clock::Clock;
pub use content::{Content, Receipt};
pub use entropy::EntropyError;
pub use error::ClientError;
pub use events::Event;
pub use handle::Client;
pub use message::{Conversation, Message};
pub use rooms::{Invitation, RoomInfo};
pub use safety::KnownAccount;
pub use settings::{Receipts, Settings};
pub use setup::{Linking, RecoveryKit, RecoveryKitError};
pub use sign_in::{SignIn, SignInError, SignedIn, UserCode};
pub use store::{Store, StoreError};
pub use sync::Events;
