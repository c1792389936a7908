//! Sealing: the AEAD, padding, and sealing under keys that serve once.

pub(in crate::protocol) mod aead;
pub(in crate::protocol) mod one_use;
pub(in crate::protocol) mod padding;
