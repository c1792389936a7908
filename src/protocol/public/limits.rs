//! Limits of the protocol: ages, counts and caps, each with its reason.

use core::time::Duration;

use crate::wire::limits::{DEVICES_MAX, VAULT_SEALED_BYTES_MAX};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// After how long a device makes a new signed prekey and a new last-resort KEM prekey.
pub const SIGNED_PREKEY_ROTATION: Duration = Duration::from_secs(7 * DAY.as_secs());

/// How long the secret half of a signed prekey is kept, rotated on time: as long as a first message
/// may be under way.
pub const SIGNED_PREKEY_KEPT: Duration = Duration::from_secs(30 * DAY.as_secs());

/// How long it is kept after its successor was published, however late that was.
pub const SIGNED_PREKEY_SUCCEEDED_KEPT: Duration =
    Duration::from_secs(SIGNED_PREKEY_KEPT.as_secs() - SIGNED_PREKEY_ROTATION.as_secs());

/// How far ahead of now a prekey's date may be. One further ahead was made while a clock was wrong: its
/// owner replaces it, and a peer does not hold later ones against its date.
pub const PREKEY_AHEAD_MAX: Duration = DAY;

/// One-time prekeys of each kind that a full supply holds.
pub const ONE_TIME_PREKEYS_FULL: usize = 100;

/// Below how many one-time prekeys of a kind the supply is filled up again.
pub const ONE_TIME_PREKEYS_LOW: usize = 30;

/// One-time prekeys of each kind that a device keeps secrets of; the oldest go first. A node that
/// claims the supply is empty again and again can only push out keys it has already been given.
pub const ONE_TIME_PREKEYS_KEPT_MAX: usize = 400;

/// By how many messages one message may run ahead of those that arrived. A forged header costs its
/// reader at most this many chain steps, over both chains that it touches.
pub const SKIP_MAX: u32 = 2_000;

/// Message keys kept for late messages, over all sessions with one device; the oldest go first.
pub const SKIPPED_KEYS_MAX: usize = 2_000;

/// Receiving chains kept for late messages in a session; the oldest goes first.
pub const RECEIVING_CHAINS_MAX: usize = 5;

/// How long a message key is kept for a late message.
pub const SKIPPED_KEY_KEPT: Duration = Duration::from_secs(30 * DAY.as_secs());

/// Sessions kept with one device. Two are usual when both sides start at once.
pub const SESSIONS_PER_DEVICE_MAX: usize = 4;

/// How long a session is kept that is out of use, counted until the peer is heard on the one in use.
/// Until then its late messages can be read, and a thief of its keys might bring it back into use.
pub const SESSION_UNUSED_KEPT: Duration = SIGNED_PREKEY_ROTATION;

/// Messages that one sending chain may hold: the counter is a `u32`.
pub const CHAIN_LENGTH_MAX: u32 = u32::MAX;

/// Bytes of the largest padded message: with the largest opening, header and tag around it, it fits
/// into an envelope's payload.
pub const MESSAGE_PADDED_BYTES_MAX: usize = 60 * 1024;

/// Bytes of plaintext in one message; padding takes at least one byte.
pub const MESSAGE_BYTES_MAX: usize = MESSAGE_PADDED_BYTES_MAX - 1;

/// Openings that are remembered while their signed prekeys live. At the limit further openings are
/// refused, not older ones forgotten: a forgotten one could be replayed. Accounts with fewer than
/// [`USED_OPENINGS_RESERVED`] are let past it.
pub const USED_OPENINGS_MAX: usize = 65_536;

/// Openings that are remembered of one account, so that one account cannot take all the room.
pub const USED_OPENINGS_PER_ACCOUNT_MAX: usize = 1_024;

/// Openings that are remembered of an account although there is no more room, so that those who
/// filled it cannot shut others out.
pub const USED_OPENINGS_RESERVED: usize = 16;

/// Accounts whose devices a machine knows.
pub const KNOWN_ACCOUNTS_MAX: usize = 65_536;

/// Bytes of a vault item when it is padded. Larger content goes into a file, and the item names it.
pub const VAULT_ITEM_PADDED_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a vault item's content: padding takes at least one.
pub const VAULT_ITEM_BYTES_MAX: usize = VAULT_ITEM_PADDED_BYTES_MAX - 1;

/// Bytes that sealing with a key used once adds: version 1, salt 32, commitment 32, tag 16.
pub const ONE_USE_OVERHEAD_BYTES: usize = 1 + 32 + 32 + 16;

/// Bytes of a sealed vault item, as a node stores it.
pub const VAULT_ITEM_SEALED_BYTES_MAX: usize = VAULT_ITEM_PADDED_BYTES_MAX + ONE_USE_OVERHEAD_BYTES;

const _: () = assert!(VAULT_ITEM_SEALED_BYTES_MAX == VAULT_SEALED_BYTES_MAX, "a node would refuse the largest item");

/// Writers whose last write the head of a vault collection knows: as many as an account can have devices at once. A device is
/// another writer each time it does not know what became of a write. Who has not looked while so many others came may be shown
/// another history.
pub const VAULT_WRITERS_MAX: usize = DEVICES_MAX;

/// Bytes of what a keystore holds. The keys of a device with its full supply of prekeys are under
/// 100 KiB; larger state is sealed under a key that the keystore holds.
pub const KEYSTORE_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one record of a client's local store. The largest is a session with all its skipped keys, under 256 KiB.
pub const STORE_RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a passphrase: far more than anybody types, and little to hash.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

/// Least memory of Argon2id: RFC 9106, section 4, second recommended option.
pub const ARGON2_MEMORY_KIB_MIN: u32 = 64 * 1024;

/// Most memory of Argon2id, so that a file from elsewhere cannot take all of a device's.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 1024 * 1024;

/// Fewest passes of Argon2id: RFC 9106, section 4, second recommended option.
pub const ARGON2_ITERATIONS_MIN: u32 = 3;

/// Most passes of Argon2id. With the most memory that is 16 GiB written, tens of seconds.
pub const ARGON2_ITERATIONS_MAX: u32 = 16;

/// Fewest lanes of Argon2id. They are computed one after another, so more of them speed up nobody
/// but an attacker with many cores.
pub const ARGON2_LANES_MIN: u32 = 1;

/// Most lanes of Argon2id: keystores made elsewhere use up to as many as a device has cores.
pub const ARGON2_LANES_MAX: u32 = 8;
