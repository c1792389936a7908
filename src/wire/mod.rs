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
mod policy;
mod prekeys;
mod problem;
mod secret_text;
mod timestamp;

pub use auth::{
    AskDevice, CompleteFlow, DeviceStarted, FlowStarted, Provider, Providers, Refresh, SessionSummary, SessionTokens,
    Sessions, SignedOut, StartDevice, StartFlow,
};
pub use bytes::{ByteString, Bytes};
pub use codec::{Reader, WireError, Writer};
pub use device::{DeviceCertificate, DeviceList};
pub use directory::{BindDevice, PrekeyStatus};
pub use envelope::{Destination, Envelope, EnvelopeError};
pub use error_code::ErrorCode;
pub use policy::{Custody, Protection, RoomPolicy, Signatures};
pub use prekeys::{KemPrekey, KemPrekeyUse, OneTimePrekey, PrekeyBundle, PrekeyPublication, SignedPrekey};
pub use problem::Problem;
pub use secret_text::SecretText;
pub use timestamp::Timestamp;
