//! What can be done without a secret: parse and check public keys, verify what is signed, hold the
//! timestamp rule.
//!
//! A value of these types has passed its check: an [`AgreementPublicKey`] is canonical and of prime
//! order, a [`VerifiedDevice`] was certified by its root key. There is no other way to make one.

mod agreement_key;
mod device;
mod device_proof;
mod envelope;
mod error;
mod kem_key;
mod key_id;
pub mod labels;
pub mod limits;
mod prekeys;
mod replay_window;
mod signing_key;
mod vault_digest;

pub use agreement_key::{AgreementPublicKey, RatchetPublicKey};
pub use device::{
    VerifiedDevice, VerifiedDeviceList, certificate_signed_bytes, list_signed_bytes, verify_device, verify_device_list,
};
pub use device_proof::{device_proof_signed_bytes, verify_device_proof};
pub use envelope::{VerifiedEnvelope, envelope_signed_bytes, verify_envelope};
pub use error::{KeyError, VerifyError};
pub use kem_key::{KemCiphertext, KemPublicKey};
pub use key_id::{agreement_key_id, kem_key_id, signing_key_id};
pub use prekeys::{
    VerifiedPrekeyBundle, check_one_time_prekey, kem_prekey_signed_bytes, signed_prekey_signed_bytes,
    verify_kem_prekey, verify_prekey_bundle, verify_prekey_publication, verify_signed_prekey,
};
pub use replay_window::{ReplayKey, ReplayWindow, StaleError};
pub use signing_key::{SignatureBytes, SigningPublicKey};
pub use vault_digest::vault_digest;
