//! Plain X3DH: the same four agreements without the post-quantum leg, under a label of its own.
//!
//! It exists in test builds alone, to hold our derivation against X3DH's description. Nothing can
//! negotiate it: no bundle, opening or version byte says "no KEM".

use super::SessionSecret;
use super::pqxdh::Agreements;
use crate::protocol::public::labels;

/// `SK` of X3DH (revision 1, section 3.3).
pub(in crate::protocol) fn x3dh_secret(agreements: &Agreements) -> SessionSecret {
    agreements.derive(&[], labels::X3DH_SECRET)
}
