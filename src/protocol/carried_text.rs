//! Secrets as texts that people carry from one program to another: base64url with a checksum against typing errors.
//!
//! ```text
//! text     = base64url of: content ∥ checksum 3
//! checksum = first 3 bytes of SHA-256(label ∥ content)
//! ```

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

const CHECKSUM_LENGTH: usize = 3;

/// Writes `content` as a text; both are wiped when they are dropped.
pub(in crate::protocol) fn write(label: &[u8], content: &[u8]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(content.len() + CHECKSUM_LENGTH));
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&*checksum(label, content));
    Zeroizing::new(BASE64URL_NOPAD.encode(&bytes))
}

/// Reads the content of a text that was written with the same label; white space does not count. None if it is another text,
/// or a mistyped one. The caller wipes `text`.
pub(in crate::protocol) fn read(label: &[u8], text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut typed = Zeroizing::new(String::with_capacity(text.len()));
    typed.extend(text.split_whitespace());
    let mut bytes = BASE64URL_NOPAD.decode(typed.as_bytes()).map(Zeroizing::new).ok()?;
    let (content, given) = bytes.split_last_chunk::<CHECKSUM_LENGTH>()?;
    let (is_right, length) = (*given == *checksum(label, content), content.len());
    bytes.truncate(length);
    is_right.then_some(bytes)
}

fn checksum(label: &[u8], content: &[u8]) -> Zeroizing<[u8; CHECKSUM_LENGTH]> {
    let mut digest = Sha256::new().chain_update(label).chain_update(content).finalize();
    let mut checksum = Zeroizing::new([0; CHECKSUM_LENGTH]);
    checksum.copy_from_slice(digest.split_at(CHECKSUM_LENGTH).0);
    digest.as_mut_slice().zeroize();
    checksum
}
