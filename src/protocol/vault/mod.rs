//! Sealing the items of a vault: memories, chats, whatever an application keeps.
//!
//! An account has one [`VaultKey`]; each collection has a [`CollectionKey`] derived from it, with
//! the account and the collection's name bound in; each item is sealed with a key used once
//! (`protocol::seal::one_use`, whose doc has the nonce's uniqueness argument), with its id, type and
//! version bound in as well. Storing items, and knowing which version is the newest, is the
//! caller's.
//!
//! ```text
//! collection key = HKDF-SHA-256(no salt, vault key,
//!                  label ∥ account_id 16 ∥ name's length u32 BE ∥ name)          32 bytes
//! context        = account_id 16 ∥ name's length u32 BE ∥ name ∥ item_id 16
//!                  ∥ type's length u32 BE ∥ type ∥ version u64 BE
//! sealed item    = version 1 ∥ salt 32 ∥ commitment 32 ∥ ciphertext ∥ tag 16     81 bytes added
//! ```
//!
//! Content is padded before it is sealed: to a power of two from 256 bytes to 1 MiB.
//!
//! - An item opens in its own place only: another account, collection, id, type or version refuses it.
//! - A collection key opens its collection alone, and the vault key does not follow from it.
//!
//! What an attacker can still do: the node sees names, ids, types, versions and padded lengths, may
//! withhold an item, and may answer with an older version *under that version's number*. So the
//! caller asks for a version that it knows from elsewhere, or refuses one below the last it saw.

mod error;
mod item;
mod keys;

pub use error::VaultError;
pub use item::{ItemContext, SealedItem};
pub use keys::{CollectionKey, VaultKey};
