//! Stable codes for errors that cross a boundary. Clients branch on codes, never on text.
//!
//! A code's text is its name in `snake_case`. Codes are added, never renamed and never reused; a
//! snapshot test pins them.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What went wrong, in a word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code's text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

error_codes! {
    /// Nothing is known of the account.
    UnknownAccount = "unknown_account",
    /// The device is not on its account's list.
    UnknownDevice = "unknown_device",
    /// The account has a new identity that the user has not accepted.
    IdentityChanged = "identity_changed",
    /// The identity to accept is not the one that waits.
    NoSuchIdentity = "no_such_identity",
    /// Another root key is shown as the account's own.
    OwnRootChanged = "own_root_changed",
    /// An older device list than the one known.
    StaleDeviceList = "stale_device_list",
    /// Another device list of the same version.
    ForkedDeviceList = "forked_device_list",
    /// A device list is over its limit or out of order.
    DeviceListMalformed = "device_list_malformed",
    /// A public key is not canonical, or of low or mixed order.
    KeyUnacceptable = "key_unacceptable",
    /// A key id is not that of the key beside it.
    KeyIdMismatch = "key_id_mismatch",
    /// A structure belongs to another account or device.
    OwnerMismatch = "owner_mismatch",
    /// A signature does not hold.
    SignatureInvalid = "signature_invalid",
    /// The policy asks for a signature.
    SignatureMissing = "signature_missing",
    /// The policy forbids signatures.
    SignatureUnexpected = "signature_unexpected",
    /// The envelope is for another device.
    NotForThisDevice = "not_for_this_device",
    /// The policy does not allow this kind of message.
    OtherPolicy = "other_policy",
    /// There is no session with the device.
    NoSession = "no_session",
    /// The agreement of a first message failed.
    AgreementFailed = "agreement_failed",
    /// The first message was used before.
    OpeningReplayed = "opening_replayed",
    /// Too many first messages are remembered.
    TooManyOpenings = "too_many_openings",
    /// Too many accounts are known.
    TooManyAccounts = "too_many_accounts",
    /// The first message uses a prekey that is gone.
    PrekeyGone = "prekey_gone",
    /// The message is malformed.
    MessageMalformed = "message_malformed",
    /// The message is over its limit.
    MessageTooLong = "message_too_long",
    /// The message does not open: altered, or of another session, place or policy.
    DoesNotOpen = "does_not_open",
    /// The message was opened before.
    MessageKeyGone = "message_key_gone",
    /// The message's chain is gone.
    ChainGone = "chain_gone",
    /// The chain is at its end.
    ChainExhausted = "chain_exhausted",
    /// The message runs too far ahead of those that arrived.
    TooFarAhead = "too_far_ahead",
    /// Saved state is malformed.
    SavedStateMalformed = "saved_state_malformed",
    /// A session with this device itself was asked for.
    OwnDevice = "own_device",
    /// A bundle is older than one that was seen of its device.
    StalePrekeys = "stale_prekeys",
    /// A mistake of the program that answers.
    Internal = "internal",
    /// Uploaded prekeys are over a limit, or in a place that their use does not fit.
    PrekeysMalformed = "prekeys_malformed",
    /// The bytes are over the limit of an envelope.
    EnvelopeTooLong = "envelope_too_long",
    /// The bytes are no envelope.
    EnvelopeMalformed = "envelope_malformed",
    /// An envelope of a version that is not known.
    EnvelopeVersionUnknown = "envelope_version_unknown",
    /// The envelope's payload is over its limit.
    PayloadTooLong = "payload_too_long",
    /// The envelope was stamped too long ago.
    TimestampTooOld = "timestamp_too_old",
    /// The envelope is stamped too far in the future.
    TimestampTooFarAhead = "timestamp_too_far_ahead",
    /// The keys given are not those of the certificate.
    IdentityKeysMismatch = "identity_keys_mismatch",
    /// A scanned code is no safety number.
    SafetyNumberMalformed = "safety_number_malformed",
    /// A scanned safety number is of a version that is not known.
    SafetyNumberVersionUnknown = "safety_number_version_unknown",
    /// A scanned safety number shows another key of theirs than the one known here.
    SafetyNumberTheirKey = "safety_number_their_key",
    /// A scanned safety number shows another key of ours than we have.
    SafetyNumberOurKey = "safety_number_our_key",
    /// A scanned safety number is of other accounts.
    SafetyNumberBothKeys = "safety_number_both_keys",
    /// The content is over the limit of a vault item.
    VaultItemTooLong = "vault_item_too_long",
    /// The bytes are no sealed vault item.
    VaultItemMalformed = "vault_item_malformed",
    /// The vault item does not open: altered, or of another key, place or version.
    VaultItemDoesNotOpen = "vault_item_does_not_open",
    /// The passphrase is empty.
    PassphraseEmpty = "passphrase_empty",
    /// The passphrase is over its limit.
    PassphraseTooLong = "passphrase_too_long",
    /// A cost of Argon2id is below its floor.
    KeystoreCostTooLow = "keystore_cost_too_low",
    /// A cost of Argon2id is above its ceiling.
    KeystoreCostTooHigh = "keystore_cost_too_high",
    /// The content is over the limit of a keystore.
    KeystoreTooLong = "keystore_too_long",
    /// The bytes are no keystore.
    KeystoreMalformed = "keystore_malformed",
    /// The keystore does not open: altered, or another passphrase.
    KeystoreDoesNotOpen = "keystore_does_not_open",
    /// A text has not as many characters as a recovery key.
    RecoveryKeyLength = "recovery_key_length",
    /// A text has a character that no recovery key has.
    RecoveryKeyCharacter = "recovery_key_character",
    /// A recovery key has a typing error.
    RecoveryKeyChecksum = "recovery_key_checksum",
    /// The bytes are no backup.
    BackupMalformed = "backup_malformed",
    /// The backup does not open: altered, or another recovery key or account.
    BackupDoesNotOpen = "backup_does_not_open",
    /// There is not as much memory as is needed.
    OutOfMemory = "out_of_memory",

    /// The request's body, path or query is not what the call takes.
    MalformedRequest = "malformed_request",
    /// The body is not of the content type that the call takes.
    UnsupportedMediaType = "unsupported_media_type",
    /// The body is over the call's limit.
    BodyTooLarge = "body_too_large",
    /// The request took too long to arrive or to answer.
    RequestTimeout = "request_timeout",
    /// There is nothing at this path.
    NotFound = "not_found",
    /// The path has no such method.
    MethodNotAllowed = "method_not_allowed",
    /// Too many requests; `Retry-After` says how many seconds to wait.
    RateLimited = "rate_limited",
    /// The node cannot answer now: it is stopping, or its store is not available.
    Unavailable = "unavailable",

    /// The call needs an access token.
    TokenMissing = "token_missing",
    /// The access token is unknown, expired, or of a session that has ended.
    TokenRefused = "token_refused",
    /// The node has no such sign-in provider.
    UnknownProvider = "unknown_provider",
    /// The browser may not be sent to this address.
    RedirectRefused = "redirect_refused",
    /// No sign-in with this state is under way: unknown, completed or expired.
    FlowRefused = "flow_refused",
    /// The provider does not accept the authorization code.
    CodeRefused = "code_refused",
    /// The refresh token is unknown, expired, or of a session that has ended.
    RefreshRefused = "refresh_refused",
    /// The refresh token was used before. The session has ended.
    RefreshReused = "refresh_reused",
    /// The account has no such session.
    UnknownSession = "unknown_session",
    /// The session has not said which device it is of.
    DeviceNotBound = "device_not_bound",
    /// The session has said that it is of another device.
    SessionBound = "session_bound",
    /// The account's root key is another one.
    RootKeyChanged = "root_key_changed",
    /// The device has published no prekeys.
    NoPrekeys = "no_prekeys",
    /// The device has more one-time prekeys than the node keeps.
    TooManyPrekeys = "too_many_prekeys",
    /// The signature that makes a session a device's is not the device's.
    DeviceProofRefused = "device_proof_refused",

    /// There is no such room, or the account is no member of it.
    UnknownRoom = "unknown_room",
    /// The account is no member of the room.
    UnknownMember = "unknown_member",
    /// The room has no such invitation.
    UnknownInvitation = "unknown_invitation",
    /// The invitation is unknown, expired, used up, or for another account.
    InvitationRefused = "invitation_refused",
    /// The member's role does not allow it.
    RoleForbids = "role_forbids",
    /// The room would be left without an owner.
    LastOwner = "last_owner",
    /// The room is closed.
    RoomClosed = "room_closed",
    /// The room has as many members as it may.
    TooManyMembers = "too_many_members",
    /// The account is in as many rooms as it may be.
    TooManyRooms = "too_many_rooms",
    /// The room has as many invitations as it may.
    TooManyInvitations = "too_many_invitations",
    /// The node keeps no keys of rooms: custody `node` is off.
    CustodyDisabled = "custody_disabled",
    /// The node does not carry rooms that are protected in this way.
    ProtectionUnsupported = "protection_unsupported",
    /// The position is of another life of the log.
    OtherLogEpoch = "other_log_epoch",
    /// The position is past the head of the log.
    PositionAhead = "position_ahead",
    /// The device's mailbox holds as much as it may.
    MailboxFull = "mailbox_full",

    /// What came over the socket is no command.
    CommandMalformed = "command_malformed",
    /// The socket has not said who it is of: `hello` is its first command.
    HelloExpected = "hello_expected",
    /// The socket has said who it is of before.
    HelloTwice = "hello_twice",
    /// The socket has joined the room before.
    AlreadyJoined = "already_joined",
    /// The socket has not joined the room.
    NotJoined = "not_joined",
    /// The envelope's nonce was used by another one.
    EnvelopeReplayed = "envelope_replayed",
    /// Pages of this origin may not open a socket.
    OriginRefused = "origin_refused",
    /// The request for a socket names no subprotocol that the node speaks.
    SubprotocolMissing = "subprotocol_missing",

    /// The message's key was given up for its age or for want of room.
    MessageKeyGivenUp = "message_key_given_up",

    /// The sign-in provider does not answer, or not as it should.
    ProviderUnavailable = "provider_unavailable",
    /// Nobody has signed the device in yet; ask again.
    AuthorizationPending = "authorization_pending",
    /// The device asks too often: from now on it waits five seconds longer.
    SlowDown = "slow_down",
    /// Nobody waits with this device code: unknown, used or expired. Begin again.
    ExpiredToken = "expired_token",
    /// Whoever was asked to sign the device in refused.
    AccessDenied = "access_denied",

    /// The node knows no TURN server.
    TurnNotConfigured = "turn_not_configured",
    /// The keys of the room are with its clients: the node neither encrypts nor decrypts there.
    CustodyIsClient = "custody_is_client",
    /// The member has no keys in the room, or they have expired, or the node was started again since.
    NoRoomKeys = "no_room_keys",
    /// The account has no such key in the room.
    UnknownRoomKey = "unknown_room_key",
    /// The key was revoked by its owner.
    RoomKeyRevoked = "room_key_revoked",
    /// The key was rotated: another one is in its place.
    RoomKeyReplaced = "room_key_replaced",
    /// The key has expired.
    RoomKeyExpired = "room_key_expired",
    /// The node holds as many keys as it may: of the room, of the account, or at all.
    TooManyRoomKeys = "too_many_room_keys",
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused",
    /// The account has as many idempotency keys as it may.
    TooManyIdempotencyKeys = "too_many_idempotency_keys",

    /// The account's vault has no such item.
    UnknownVaultItem = "unknown_vault_item",
    /// The item was deleted; `present` is the version of its deletion.
    VaultItemDeleted = "vault_item_deleted",
    /// The call does not say which version of the item it is for.
    PreconditionMissing = "precondition_missing",
    /// The call is for another version of the item than the present; `present` is that, 0 if there is no item.
    VaultVersionConflict = "vault_version_conflict",
    /// The collection was written meanwhile; `present` is its revision.
    VaultRevisionConflict = "vault_revision_conflict",
    /// The account has as many vault items as it may, deleted ones included.
    TooManyVaultItems = "too_many_vault_items",
    /// The account has as many vault collections as it may.
    TooManyCollections = "too_many_collections",
    /// The items of the account's vault have as many bytes together as they may.
    VaultFull = "vault_full",
    /// The head of a vault collection is not authentic.
    VaultHeadDoesNotOpen = "vault_head_does_not_open",
    /// The node shows a vault collection as it was before what has been seen of it.
    VaultRolledBack = "vault_rolled_back",
    /// The node shows a vault collection without a write that has been seen.
    VaultForked = "vault_forked",
    /// What the node lists is not what is in the vault collection.
    VaultEntriesMismatch = "vault_entries_mismatch",
    /// The node hands out something else for a vault item.
    VaultItemMismatch = "vault_item_mismatch",
    /// The node does not hand out a vault item that is there.
    VaultItemWithheld = "vault_item_withheld",

    /// There is a room with the id that was drawn.
    RoomExists = "room_exists",
    /// No member has let the account in: the node alone says that it is one.
    NotVouched = "not_vouched",
    /// This device has removed the member, and nobody has let them in again.
    MemberRemoved = "member_removed",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
