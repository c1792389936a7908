//! Limits on what crosses a boundary, each with its unit and its reason.

use core::time::Duration;

/// Bytes of an envelope's payload. Larger content goes into a file, and the envelope names it.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one envelope in either form: the payload in base64 (four thirds), and the other fields.
pub const ENVELOPE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 3 * 4 + 2 * 1024;

/// How old an envelope may be when it is admitted; a node that remembers nonces for longer admits no
/// older ones. Together with [`TIMESTAMP_AHEAD_MAX`] it is as long as nonces are remembered, so that
/// an envelope that is still fresh is still remembered.
pub const TIMESTAMP_AGE_MAX: Duration = Duration::from_secs(270);

/// How far an envelope's time may be ahead of the node's: clocks differ.
pub const TIMESTAMP_AHEAD_MAX: Duration = Duration::from_secs(30);

/// How long a nonce is remembered.
pub const NONCE_TTL: Duration = Duration::from_secs(300);

const _: () = assert!(
    TIMESTAMP_AGE_MAX.as_millis() + TIMESTAMP_AHEAD_MAX.as_millis() <= NONCE_TTL.as_millis(),
    "an envelope could be admitted again after its nonce is forgotten"
);

/// Devices of one account. Every message to a user is sealed for each of them.
pub const DEVICES_MAX: usize = 64;

/// One-time prekeys of one kind in one publication.
pub const ONE_TIME_PREKEYS_MAX: usize = 200;
