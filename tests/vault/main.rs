//! Vault items, keystores, backups and safety numbers, as a client uses them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod backup;
mod codes;
mod frozen;
mod inventory;
mod keystore;
mod safety_number;
mod vault;

use conclave::ids::AccountId;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// Some account; others have other numbers.
fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// `bytes` with the lowest bit of one byte changed, for each byte.
fn with_each_byte_changed(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).map(|index| {
        let mut changed = bytes.to_vec();
        changed[index] ^= 1;
        changed
    })
}

fn assert_wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
