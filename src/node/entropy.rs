//! The node's randomness: the one place that asks the system for it.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The system gave no randomness. Nothing that needs it may go on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gave no randomness: {0}")]
pub struct EntropyError(getrandom::Error);

/// A generator with a fresh seed of 32 bytes from the system, for the making of one token, id or set
/// of them.
///
/// # Errors
/// [`EntropyError`] if the system gives none.
pub fn generator() -> Result<ChaCha20Rng, EntropyError> {
    ChaCha20Rng::try_from_rng(&mut getrandom::SysRng).map_err(EntropyError)
}
