//! What crosses a boundary: the forms that client and node exchange. No secret key is in them; the
//! tokens and codes of sign-in are [`SecretText`]. Saved state, which does hold secrets, is no such
//! form; it only uses the same [`Reader`] and [`Writer`].
//!
//! A value of these types is *parsed*, not *verified*: lengths and encodings hold, keys and
//! signatures are only bytes. `protocol::public` turns them into verified types.
//!
//! One type serves JSON and CBOR. Bytes are base64url without padding in JSON and byte strings in
//! CBOR; unknown fields are refused, because a field that one side ignores is a field on which two
//! sides can disagree.

mod auth;
mod bytes;
mod codec;
mod device;
mod directory;
mod envelope;
mod error_code;
pub mod limits;
mod list;
mod log_page;
mod policy;
mod position;
mod prekeys;
mod problem;
mod room;
mod room_keys;
#[cfg(feature = "node")]
mod schema;
mod sealed;
mod secret_text;
mod socket;
mod timestamp;
mod turn;
mod vault;

pub use auth::{
    AskDevice, CompleteFlow, DeviceStarted, FlowStarted, Provider, Providers, Refresh, SessionSummary, SessionTokens,
    Sessions, SignedOut, SocketTicket, StartDevice, StartFlow,
};
pub use bytes::{ByteString, Bytes};
pub use codec::{Reader, WireError, Writer};
pub use device::{DeviceCertificate, DeviceList};
pub use directory::{BindDevice, PrekeyStatus};
pub use envelope::{Destination, Envelope, EnvelopeError};
pub use error_code::ErrorCode;
pub use log_page::{LogEntry, LogPage, PageLimit, PageLimitError};
pub use policy::{Custody, Protection, RoomPolicy, Signatures};
pub use position::Position;
pub use prekeys::{KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyBundle, PrekeyPublication, SignedPrekey};
pub use problem::Problem;
pub use room::{
    CreateInvitation, CreateRoom, InvitationCreated, InvitationSummary, Invitations, JoinRoom, Joined, KeptMembership,
    MemberMark, MemberSummary, Members, Membership, MembershipProofBytes, Role, RoomSummary, Rooms, SetRole,
};
pub use room_keys::{
    DecryptMessage, DecryptedMessage, EncryptMessage, ExchangeKeys, MakeRoomKey, RoomKey, RoomKeyType, RoomKeys,
    RoomPublicKeys,
};
pub use sealed::SealedBytes;
pub use secret_text::SecretText;
pub use socket::{
    Answer, Command, CommandError, Credential, Delivery, Encoding, Entry, Log, Message, Outcome, Presence, SignalKind,
    TypingState,
};
pub use timestamp::Timestamp;
pub use turn::TurnCredentials;
pub use vault::{
    CollectionSummary, DeleteVaultItem, PutVaultItem, SealedContent, SealedHeadBytes, VaultContent, VaultEntry,
    VaultItem, VaultPage, VaultSummary, VaultWritten,
};
