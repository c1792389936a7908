//! Stories of two and three parties, through the protocol's public interface.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod codes;
mod envelope;
mod limits;
mod matrix;
mod pair;
mod properties;
mod publication;
mod ratchet;
mod ratchet_properties;
mod saved;
mod secrecy;
mod secrets;
mod stories;
