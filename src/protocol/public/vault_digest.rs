//! The digest of a sealed vault item: SHA-256 over its label and the sealed bytes.
//!
//! The node lists it; a client holds what it is given against it. It says nothing of the content, which is sealed under a
//! fresh salt each time.

use sha2::{Digest, Sha256};

use super::labels;
use crate::wire::Bytes;

/// The digest of an item's sealed bytes.
#[must_use]
pub fn vault_digest(sealed: &[u8]) -> Bytes<32> {
    let digest: [u8; 32] = Sha256::new().chain_update(labels::VAULT_DIGEST).chain_update(sealed).finalize().into();
    digest.into()
}
