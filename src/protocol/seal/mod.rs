//! seal

pub(in crate::protocol) mod aead;
