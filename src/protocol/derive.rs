//! Derivation: HKDF-SHA-256 (RFC 5869) and HMAC-SHA-256 (RFC 2104). The one module that calls them.
//!
//! Labels stand in [`labels`](super::public::labels); each caller puts its own first in `info` or in
//! the message.
//!
//! What is wiped: results, the extracted key, every hash state and its input block. What is not: the
//! HMAC of the library pads its key and keeps its inner digest in locals, and HKDF keeps its last
//! block in one; they stay in a stack frame that is left until another call overwrites it. Whoever
//! reads that memory in that moment also reads the key that the caller holds.

use core::fmt;

use hkdf::HkdfExtract;
use hmac::digest::{FixedOutput, Update};
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Most bytes that one derivation gives: 255 blocks (RFC 5869, section 2.3).
pub(in crate::protocol) const HKDF_BYTES_MAX: usize = 255 * 32;

/// Derives `N` uniform bytes by HKDF-SHA-256.
///
/// `ikm` and `info` are given in parts and used as if joined, so that no secret is copied to join it:
/// the caller makes sure that only one split is possible. An empty salt is 32 zero bytes.
///
/// `N` above [`HKDF_BYTES_MAX`] does not compile.
pub(in crate::protocol) fn hkdf<const N: usize>(salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= HKDF_BYTES_MAX, "HKDF-SHA-256 gives at most 8,160 bytes") };
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in ikm {
        extract.input_ikm(part);
    }
    let (mut extracted_key, expand) = extract.finalize();
    extracted_key.zeroize();
    let mut derived = Zeroizing::new([0; N]);
    #[expect(clippy::expect_used, reason = "the length is the only error, and it is asserted above")]
    expand.expand_multi_info(info, &mut *derived).expect("length");
    derived
}

/// A key of HMAC-SHA-256 with its two hash states prepared: a call costs two blocks instead of four.
pub(in crate::protocol) struct HmacKey(Hmac<Sha256>);

// Both hash states wipe themselves when they are dropped (`zeroize` of `sha2` and of `hmac`).
impl ZeroizeOnDrop for HmacKey {}

impl HmacKey {
    /// Prepares a key of 32 bytes.
    pub(in crate::protocol) fn new(key: &[u8; 32]) -> Self {
        // RFC 2104, section 2: a key shorter than a block is filled up with zeros.
        let mut block = Zeroizing::new([0; 64]);
        let (start, _) = block.split_at_mut(key.len());
        start.copy_from_slice(key);
        Self(Hmac::new((&*block).into()))
    }

    /// The code of `message`: 32 bytes. Nothing is allocated.
    pub(in crate::protocol) fn mac(&self, message: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut code = Zeroizing::new([0; 32]);
        self.0.clone().chain(message).finalize_into((&mut *code).into());
        code
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

#[cfg(test)]
mod tests;
