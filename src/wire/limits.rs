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

/// Below so many one-time keys of a kind, a device is told to publish more.
pub const ONE_TIME_PREKEYS_LOW: u32 = 30;

/// Bytes of a request's body, where nothing else is said: an id, a token, a code.
pub const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a device list in JSON. A certificate has about 420.
pub const DEVICE_LIST_JSON_BYTES_MAX: usize = 1024 + DEVICES_MAX * 512;

/// Bytes of a publication of prekeys in JSON. A KEM prekey has about 2,300, a one-time prekey 110.
pub const PREKEYS_JSON_BYTES_MAX: usize = 8 * 1024 + ONE_TIME_PREKEYS_MAX * (2_560 + 160);

/// Envelopes in one `deliver`: one for each device of an account.
pub const COMMAND_ENVELOPES_MAX: usize = DEVICES_MAX;

/// Bytes of one message of a client on the socket: an envelope with the largest payload, or many small ones.
pub const COMMAND_BYTES_MAX: usize = 256 * 1024;

/// How long somebody is taken to write, if nothing more is heard.
pub const TYPING_TTL: Duration = Duration::from_secs(10);

/// How long a ticket for a socket is good.
pub const TICKET_TTL: Duration = Duration::from_secs(30);

/// Bytes in JSON of a message that the node encrypts, in a room whose keys it holds. Sealed and in an envelope it stays
/// under [`PAYLOAD_BYTES_MAX`].
pub const HELD_MESSAGE_BYTES_MAX: usize = 32 * 1024;

/// Bytes of the body of a call that encrypts: the message, and for whom.
pub const ENCRYPT_JSON_BYTES_MAX: usize = HELD_MESSAGE_BYTES_MAX + 1024;

/// Bytes of the body of a call that decrypts: an envelope.
pub const DECRYPT_JSON_BYTES_MAX: usize = ENVELOPE_BYTES_MAX + 1024;

/// Bytes of a sealed vault item: what `protocol::public::limits` lets a client seal.
pub const VAULT_SEALED_BYTES_MAX: usize = 1024 * 1024 + 81;

/// Bytes of a collection's sealed head: that of 64 writers has 1,662.
pub const VAULT_HEAD_BYTES_MAX: usize = 2 * 1024;

/// Bytes of the body of a call that puts an item into a vault: both in base64 (four thirds), and the other fields.
pub const VAULT_PUT_JSON_BYTES_MAX: usize = (VAULT_SEALED_BYTES_MAX + VAULT_HEAD_BYTES_MAX) / 3 * 4 + 1024;

/// Entries of one page of a log, and elements of one page of a list.
pub const PAGE_ENTRIES_MAX: usize = 256;

/// How long an invitation is good at most. A link that is found years later opens nothing.
pub const INVITATION_AGE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How long an invitation is good where nothing is said.
pub const INVITATION_AGE_DEFAULT: Duration = Duration::from_secs(7 * 86_400);

/// How often one invitation can be used: as often as a room can have members.
pub const INVITATION_USES_MAX: u32 = 10_000;
