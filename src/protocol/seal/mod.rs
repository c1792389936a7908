//! seal

pub(in crate::protocol) mod one_use;
pub(in crate::protocol) mod padding;
