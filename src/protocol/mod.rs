//! The pure core: no I/O, no clock, no global randomness, no threads. It compiles to wasm32.
//!
//! Time is a [`Timestamp`](crate::wire::Timestamp) argument; randomness is `&mut impl CryptoRng`, last in the list.
//!
//! [`public`] is always built: it checks keys, verifies signatures and names the labels. The rest
//! holds secret keys and is behind the feature `holder`.

pub mod public;

#[cfg(feature = "holder")]
pub mod secret;

#[cfg(feature = "holder")]
pub mod agreement;
#[cfg(feature = "holder")]
pub mod backup;
#[cfg(feature = "holder")]
mod carried_text;
#[cfg(feature = "holder")]
mod derive;
#[cfg(feature = "holder")]
pub mod identity;
#[cfg(feature = "holder")]
pub mod keystore;
#[cfg(feature = "holder")]
pub mod machine;
#[cfg(feature = "holder")]
pub mod membership;
#[cfg(feature = "holder")]
pub mod ratchet;
#[cfg(feature = "holder")]
pub mod safety_number;
#[cfg(feature = "holder")]
pub mod seal;
#[cfg(feature = "holder")]
pub mod session;
#[cfg(feature = "holder")]
pub mod vault;
#[cfg(all(test, feature = "holder"))]
mod vector_tests;
