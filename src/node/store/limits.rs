//! How much the store keeps, each limit with its reason.

use crate::protocol::public::limits::ONE_TIME_PREKEYS_KEPT_MAX;

/// Writes that wait. At the limit a write is refused as [`Busy`](super::StoreError::Busy): at some
/// thousand writes a second, whoever waited behind so many would have gone.
pub const WRITES_WAITING_MAX: usize = 4_096;

/// Writes in one commit. The cost of syncing is spread well before that, and those of one commit
/// wait for each other.
pub const WRITES_PER_COMMIT_MAX: usize = 512;

/// Connections that read at once. Reads are short and come from the page cache.
pub const READERS_MAX: u32 = 4;

/// Sign-ins that are pending on the whole node, as many codes of the built-in provider, and as many devices
/// that wait to be signed in: strangers begin them.
pub const FLOWS_MAX: usize = 10_000;

/// How often a user code may be typed: each time begins a sign-in, and people give up or choose the wrong
/// account, but not more often.
pub const USER_CODE_ENTRIES_MAX: u64 = 5;

/// Sessions of one account. Past it the one that was idle for longest ends: somebody who has lost
/// all devices has to be able to sign in.
pub const SESSIONS_PER_ACCOUNT_MAX: usize = 128;

/// Refreshes of one session, whose tokens are remembered. Past it the session ends: were an old
/// token forgotten before it expires, its theft would not show. At one refresh in 15 minutes that
/// is 170 days.
pub const REFRESHES_MAX: u64 = 16_384;

/// One-time prekeys of each kind that are kept for a device: those that the device keeps secrets
/// of.
pub const ONE_TIME_PREKEYS_STORED_MAX: usize = ONE_TIME_PREKEYS_KEPT_MAX;

/// Ids of handed-out one-time keys that a publication leaves in place, the newest: as many as can
/// have been handed out since the publication before it.
pub const CLAIMED_PREKEYS_KEPT_MAX: usize = 2 * ONE_TIME_PREKEYS_STORED_MAX;

/// Bytes of the address that a sign-in returns to.
pub const REDIRECT_URI_BYTES_MAX: usize = 2_048;

/// Bytes of the name of a sign-in provider in the configuration.
pub const PROVIDER_BYTES_MAX: usize = 64;

/// Bytes of an issuer's address.
pub const ISSUER_BYTES_MAX: usize = 512;

/// Bytes of a subject (OpenID Connect Core 1.0, section 2: 255 ASCII characters).
pub const SUBJECT_BYTES_MAX: usize = 255;
