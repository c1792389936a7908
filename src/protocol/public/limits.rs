//! Limits of the protocol: ages, counts and caps, each with its reason.

use core::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// After how long a device makes a new signed prekey and a new last-resort KEM prekey.
pub const SIGNED_PREKEY_ROTATION: Duration = Duration::from_secs(7 * DAY.as_secs());

/// How long the secret half of a signed prekey is kept: as long as a first message may be under way.
pub const SIGNED_PREKEY_KEPT: Duration = Duration::from_secs(30 * DAY.as_secs());

/// One-time prekeys of each kind that a full supply holds.
pub const ONE_TIME_PREKEYS_FULL: usize = 100;

/// Below how many one-time prekeys of a kind the supply is filled up again.
pub const ONE_TIME_PREKEYS_LOW: usize = 30;

/// One-time prekeys of each kind that a device keeps secrets of; the oldest go first. A node that
/// claims the supply is empty again and again can only push out keys it has already been given.
pub const ONE_TIME_PREKEYS_KEPT_MAX: usize = 400;

/// By how many messages one message may run ahead of its chain. A forged header costs its reader at
/// most this many chain steps.
pub const SKIP_MAX: u32 = 2_000;

/// Message keys kept for late messages, over all sessions with one device; the oldest go first.
pub const SKIPPED_KEYS_MAX: usize = 2_000;

/// Receiving chains kept for late messages in a session; the oldest goes first.
pub const RECEIVING_CHAINS_MAX: usize = 5;

/// How long a message key is kept for a late message.
pub const SKIPPED_KEY_KEPT: Duration = Duration::from_secs(30 * DAY.as_secs());

/// Sessions kept with one device. Two are usual when both sides start at once.
pub const SESSIONS_PER_DEVICE_MAX: usize = 4;

/// Messages that one sending chain may hold: the counter is a `u32`.
pub const CHAIN_LENGTH_MAX: u32 = u32::MAX;

/// Bytes of the largest padded message: with the largest opening, header and tag around it, it fits
/// into an envelope's payload.
pub const MESSAGE_PADDED_BYTES_MAX: usize = 60 * 1024;

/// Bytes of plaintext in one message; padding takes at least one byte.
pub const MESSAGE_BYTES_MAX: usize = MESSAGE_PADDED_BYTES_MAX - 1;

/// Openings that are remembered while their signed prekeys live. At the limit further openings are
/// refused, not older ones forgotten: a forgotten one could be replayed.
pub const USED_OPENINGS_MAX: usize = 65_536;

/// Accounts whose devices a machine knows.
pub const KNOWN_ACCOUNTS_MAX: usize = 65_536;
