//! The SDK's randomness: the one place that asks the system for it.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The system gave no randomness. Nothing that needs it may go on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gave no randomness: {0}")]
pub struct EntropyError(getrandom::Error);

/// A generator with a fresh seed of 32 bytes from the system. It is used for one thing and not kept: what a copy of the
/// process (a snapshot, a fork) draws is its own.
///
/// # Errors
/// [`EntropyError`] if the system gives none.
pub(super) fn generator() -> Result<ChaCha20Rng, EntropyError> {
    ChaCha20Rng::try_from_rng(&mut getrandom::SysRng).map_err(EntropyError)
}
