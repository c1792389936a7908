//! Identity: an account's root key, and the keys of its devices, certified by the root.
//!
//! The root key signs two things and nothing else: device certificates and device lists. It stays on
//! the account's devices and in its recovery kit. A device's signing key and agreement key are
//! separate keys (no `XEdDSA`).

mod account_root;
mod device_identity;
mod device_keys;
mod error;
mod link_code;

pub use account_root::AccountRoot;
pub use device_identity::DeviceIdentity;
pub use device_keys::DeviceKeys;
pub use error::IdentityError;
pub use link_code::{LinkCode, LinkCodeError};
