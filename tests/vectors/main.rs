//! Official vectors, run over the path that keys, signatures and secrets take in this package: from
//! the bytes as they arrive, through the check where they are parsed, to their use.
//!
//! Each file counts what it ran, by outcome, so that no case is left out unseen. `key_slots` feeds
//! every bad key of the other files into every published structure that carries one, `message_slots`
//! into pairwise messages. ChaCha20-Poly1305, HKDF
//! and HMAC are internal: their vectors run as unit tests in `protocol::seal::aead` and
//! `protocol::derive`. `SOURCE.md` says where each vector is from.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ed25519;
mod key_slots;
mod low_order;
mod message_slots;
mod ml_kem;
mod x25519;

use conclave::protocol::public::KeyError;
use conclave::wire::{ByteString, Bytes};
use data_encoding::HEXLOWER;

/// A public key that must be refused, and why.
struct BadKey<const N: usize> {
    name: String,
    bytes: [u8; N],
    error: KeyError,
}

/// What `bytes` are when they arrive where `N` are expected, in JSON and in CBOR.
fn arrive<const N: usize>(bytes: &[u8]) -> Option<Bytes<N>> {
    let sent = ByteString(bytes.to_vec());
    let from_json: Option<Bytes<N>> = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).ok();
    let mut cbor = Vec::new();
    ciborium::into_writer(&sent, &mut cbor).unwrap();
    let from_cbor: Option<Bytes<N>> = ciborium::from_reader(cbor.as_slice()).ok();
    assert_eq!(from_json, from_cbor);
    from_json
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
}
