//! How much a node holds of rooms whose keys it has, each limit with its reason.

/// Members of one room with held keys. Each has a session with each other: a full room has 64 × 63 of them, about 1 KB each.
pub(super) const PARTICIPANTS_PER_ROOM_MAX: usize = 64;

/// Rooms in which one account has held keys.
pub(super) const PARTICIPANTS_PER_ACCOUNT_MAX: usize = 100;

/// Members with held keys on the whole node. With the sessions of full rooms that is below 1 GB.
pub(super) const PARTICIPANTS_MAX: usize = 10_000;

/// Keys of late messages in one session, about 90 bytes each. Thin clients read in order.
pub(super) const SKIPPED_KEYS_MAX: usize = 128;

/// Keys of a member that are remembered as revoked, rotated or expired, public halves alone.
pub(super) const RETIRED_KEYS_MAX: usize = 8;

/// Accounts of a room of which retired keys are remembered; of others the node says that it knows no such key.
pub(super) const RETIRED_ACCOUNTS_MAX: usize = 256;

/// Calls that wait for one room's keeper. One takes a millisecond at most.
pub(super) const CALLS_WAITING_MAX: usize = 256;
