//! Agreement: PQXDH, that is X3DH with its post-quantum leg always on.
//!
//! The initiator agrees with a claimed bundle while the other side is offline; the responder agrees
//! later from the [`Opening`] that the first message carries. Both get a [`SessionSecret`] for the
//! ratchet and a [`SessionBinding`] that every message of the session is bound to.
//!
//! ```text
//! DH1 = DH(IK_A, SPK_B)   DH2 = DH(EK_A, IK_B)   DH3 = DH(EK_A, SPK_B)   DH4 = DH(EK_A, OPK_B)
//! SK  = HKDF-SHA-256(salt = 0 × 32, ikm = 0xFF × 32 ∥ DH1 ∥ DH2 ∥ DH3 [∥ DH4] ∥ SS, info = label)
//! ```
//!
//! `SS` is the secret of ML-KEM-1024. An attacker who later breaks X25519 still lacks `SS`; one who
//! breaks ML-KEM still lacks the agreements. Authentication is by X25519 alone: an attacker with a
//! quantum computer at the time of the first message could pose as the initiator.
//!
//! Without a one-time prekey the first message can be replayed until the signed prekey is gone; the
//! machine therefore remembers each [`OpeningId`](crate::ids::OpeningId) for as long.
//!
//! Source: The PQXDH Key Agreement Protocol, revision 3; The X3DH Key Agreement Protocol, revision 1.

mod opening;
mod pqxdh;
#[cfg(test)]
mod x3dh_test_mode;

#[cfg(test)]
pub(in crate::protocol) use pqxdh::Agreements;
#[cfg(test)]
pub(in crate::protocol) use x3dh_test_mode::x3dh_secret;

pub use opening::{Opening, OpeningError};
pub use pqxdh::{
    Agreed, AgreementError, Initiated, ResponderPrekeys, SessionBinding, SessionSecret, initiate, respond,
};
