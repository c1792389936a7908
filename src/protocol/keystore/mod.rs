//! Keeping secrets under a passphrase: a device's keys in a file, an account's in a recovery kit.
//!
//! ```text
//! keystore = version 1 ∥ memory_kib u32 BE ∥ iterations u32 BE ∥ lanes u32 BE ∥ salt 16
//!            ∥ commitment 32 ∥ ciphertext ∥ tag 16                                77 bytes added
//! secret   = Argon2id v0x13 (RFC 9106) of passphrase and salt with these parameters, 32 bytes
//! ```
//!
//! From `secret` and the salt come commitment, key and nonce as `protocol::seal::one_use` describes,
//! with the 29 bytes of header as the context. The salt is fresh for each sealing, so the key is
//! used once. Content is not padded: a keystore's length says how many prekeys a device has.
//!
//! - **Weak parameters are refused before any work**: whoever hands over the file chooses them, and
//!   would choose cheap ones to guess the passphrase of what is sealed next. The floors are compiled
//!   in. So are ceilings, against a file that takes all of a device's memory or minutes of its time.
//! - A wrong passphrase and a changed byte are the same error.
//! - The passphrase's bytes are used as they are given. One text typed in two Unicode forms is two
//!   passphrases: an application that takes more than ASCII normalises first (NFKC).
//!
//! What an attacker with the file can still do: guess passphrases, at the cost of one Argon2id each.
//!
//! The memory that Argon2id fills is wiped, and so is its output. The `argon2` crate leaves parts of
//! single blocks and its last hash on the stack: later calls overwrite them, nothing wipes them.

mod argon2id;
mod error;
mod passphrase;
mod sealed;
mod store_key;

pub use argon2id::{Argon2Costs, Argon2Parameters};
pub use error::{Argon2Parameter, KeystoreError};
pub use passphrase::Passphrase;
pub use sealed::{keystore_parameters, open_keystore, seal_keystore};
pub use store_key::{StoreKey, StoreKeyError};

#[cfg(test)]
mod tests;
