//! How much the store keeps, each limit with its reason.

use core::time::Duration;

use crate::protocol::public::limits::ONE_TIME_PREKEYS_KEPT_MAX;
use crate::wire::limits::{ENVELOPE_BYTES_MAX, NONCE_TTL};

pub use crate::wire::limits::PAGE_ENTRIES_MAX;

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

/// Members of a room. Each hears of every message.
pub const ROOM_MEMBERS_MAX: usize = 10_000;

/// Rooms that an account is a member of, closed ones included until it leaves them.
pub const ROOMS_PER_ACCOUNT_MAX: usize = 1_000;

/// Invitations of a room that have not expired.
pub const INVITATIONS_PER_ROOM_MAX: usize = 100;

/// How long it is remembered that a call with an idempotency key has acted.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(86_400);

/// Calls of an account that are remembered so. An answer has 5,000 bytes at most: a bundle of prekeys.
pub const IDEMPOTENCY_KEYS_MAX: usize = 256;

/// Collections of one account's vault: an application has a few, and each write adds up what all of them hold.
pub const VAULT_COLLECTIONS_MAX: u64 = 256;

/// Writes to vaults that the writer has at once. They are of up to a megabyte each, and messages wait for the commit that
/// they are in.
pub const VAULT_WRITES_AT_ONCE_MAX: usize = 8;

/// Envelopes that wait in one mailbox. Past it senders are told, so that they can tell the user: nothing
/// that was acknowledged is dropped.
pub const MAILBOX_ENVELOPES_MAX: u64 = 10_000;

/// Bytes of the envelopes that wait in one mailbox, in binary form. An opening, the largest that is no long message, has
/// some 4,000.
pub const MAILBOX_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Envelopes of one account that wait in one mailbox: a quarter of it, so that no sender fills it for all others.
pub const MAILBOX_SHARE_ENVELOPES_MAX: u64 = MAILBOX_ENVELOPES_MAX / 4;

/// Bytes of the envelopes of one account that wait in one mailbox, for the same reason.
pub const MAILBOX_SHARE_BYTES_MAX: u64 = MAILBOX_BYTES_MAX / 4;

/// Bytes of the envelopes of one page, in binary form. What a reader holds of a page at once.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(ENVELOPE_BYTES_MAX <= PAGE_BYTES_MAX, "an envelope would fit into no page");

/// Entries of a room's log that one page looks through for those that its reader may have. In a room of
/// many, most are for others.
pub const PAGE_SCAN_MAX: u64 = 4_096;

/// How long a mailbox remembers the id of an envelope that was acknowledged, from when it was stored.
/// An envelope is admitted within [`NONCE_TTL`] of its own time; the rest is for clocks that are set.
pub const MAILBOX_IDS_KEPT: Duration = Duration::from_secs(2 * NONCE_TTL.as_secs());
