//! Stories of two and three parties, through the protocol's public interface.

#[path = "../support/mod.rs"]
mod support;

mod stories;
