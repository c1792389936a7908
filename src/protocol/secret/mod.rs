//! Secret keys, one type for each role: wiped when dropped, never printed, never copied silently.
//!
//! What is not wiped: what the compiler leaves on the stack when a value is moved, and the copies that
//! the curve and KEM crates take by value. They last until another call uses the place.

mod agreement;
mod kem;
mod signing;

pub use agreement::{AgreementSecretKey, SharedSecret};
pub use kem::{KemSecretKey, KemSeed, KemSharedSecret};
pub use signing::SigningSecretKey;

/// Defines a symmetric secret of fixed length: wiped on drop, its `Debug` without its value, no
/// `Copy`, no `Clone`, no `Serialize`, compared in constant time.
macro_rules! symmetric_key {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
        $vis struct $name([u8; 32]);

        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = 32;

            /// Takes 32 secret bytes; the caller wipes its own copy.
            #[must_use]
            pub(in crate::protocol) const fn from_bytes(bytes: &[u8; 32]) -> Self {
                Self(*bytes)
            }

            /// The secret bytes, for a derivation or for sealed storage.
            #[must_use]
            pub(in crate::protocol) const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                bool::from(subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]))
            }
        }

        impl Eq for $name {}
    };
}

pub(in crate::protocol) use symmetric_key;
