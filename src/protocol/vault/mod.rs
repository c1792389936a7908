//! The items of a vault: memories, chats, whatever an application keeps, sealed; and what is in a collection, vouched for.
//!
//! An account has one [`VaultKey`]; each collection has a [`CollectionKey`] derived from it, with
//! the account and the collection's name bound in; each item is sealed with a key used once
//! (`protocol::seal::one_use`, whose doc has the nonce's uniqueness argument), with its id, type and
//! version bound in as well.
//!
//! What is in a collection is said by its [`Head`], which each write makes anew and seals: how often the collection was
//! written, what its entries add up to, and which revision each writer wrote last. An [`Inventory`] holds what a node lists
//! against it. Storing and sending is the caller's.
//!
//! ```text
//! collection key = HKDF-SHA-256(no salt, vault key,
//!                  label ∥ account_id 16 ∥ name's length u32 BE ∥ name)          32 bytes
//! context        = account_id 16 ∥ name's length u32 BE ∥ name ∥ item_id 16
//!                  ∥ type's length u32 BE ∥ type ∥ version u64 BE
//! sealed item    = version 1 ∥ salt 32 ∥ commitment 32 ∥ ciphertext ∥ tag 16     81 bytes added
//! sealed head    = the same, with its own label and account_id 16 ∥ name's length u32 BE ∥ name ∥ revision u64 BE
//! entry's code   = HMAC-SHA-256(HKDF-SHA-256(no salt, collection key, label),
//!                  label ∥ item_id 16 ∥ type's length u32 BE ∥ type ∥ version u64 BE ∥ revision u64 BE
//!                  ∥ 0, or 1 ∥ sealed bytes u32 BE ∥ digest 32)                  32 bytes
//! sum            = exclusive or of the codes of all entries, deleted items' too  32 bytes
//! ```
//!
//! Content is padded before it is sealed: to a power of two from 256 bytes to 1 MiB.
//!
//! - An item opens in its own place only: another account, collection, id, type or version refuses it.
//! - A collection key opens its collection alone, and the vault key does not follow from it.
//!
//! - The entries that a node lists are those of the head, or the sums differ: an item's id stands among them once, so two
//!   lists differ in some entry, whose code the node knows no more of than of the sum, which is sealed. That the sums agree all
//!   the same has a chance of 2^-256.
//! - Two heads of which neither follows the other do not come together again unseen: a device that has seen one refuses every
//!   head that comes of the other, because it lacks a write that it knows of. For that a device is one writer as long as it
//!   knows what became of its writes: where it does not, the next one is another writer's
//!   ([`WriterId`](crate::ids::WriterId)), so that who was shown the first misses it.
//!
//! What an attacker can still do: the node sees names, ids, types, versions, padded lengths and who writes when. It may
//! withhold everything, which shows as an error. To a device that has seen nothing of a collection it may show the collection
//! as it was at some earlier time, or as if there were none; that shows when the device learns of a later head, and at the
//! latest when another device sees what it has written. It may bring two histories together unseen in two cases: for a device
//! that has not looked while [`VAULT_WRITERS_MAX`](crate::protocol::public::limits::VAULT_WRITERS_MAX) other writers came; and
//! for one to which it has shown a write of which it told the writer that another one was faster, if that other one has
//! written again before the device looks.
//!
//! Sources: Bellare, Guérin, Rogaway, "XOR MACs", CRYPTO 1995; Clarke et al., "Incremental Multiset Hash Functions", ASIACRYPT
//! 2003 (sums of codes); Mazières, Shasha, "Building Secure File Systems out of Byzantine Storage", PODC 2002 (versions of
//! writers, forks).

mod error;
mod head;
mod inventory;
mod item;
mod keys;

pub use error::VaultError;
pub use head::Head;
pub use inventory::{Change, Inventory, Listing, PreparedWrite};
pub use item::{ItemContext, SealedItem};
pub use keys::{CollectionKey, VaultKey};
