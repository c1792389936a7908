//! What the fuzz targets do with an input. Each body is a plain function: the targets of this folder
//! run it under libFuzzer, and `tests/corpora` of the main package replays the committed corpora
//! through it. An input that panics has found something.

#![allow(dead_code, unreachable_pub, reason = "two crates compile this file, and each takes its part")]
#![allow(clippy::unwrap_used, reason = "in a target, a panic is the finding")]

#[path = "../../tests/support/mod.rs"]
pub mod support;

pub mod envelope_forms;
pub mod machines;
pub mod pairwise_message;
pub mod parties;
pub mod published_keys;
pub mod saved_state;
pub mod sealed_forms;
pub mod two_party;

/// A genuine example: its file name in the corpus, and its bytes.
pub type Seed = (String, Vec<u8>);

/// One fuzz target.
pub struct Target {
    /// Its name, and that of its corpus folder.
    pub name: &'static str,
    /// Runs one input.
    pub run: fn(&[u8]),
    /// The genuine examples that its corpus grows from.
    pub seeds: fn() -> Vec<Seed>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "envelope_forms", run: envelope_forms::run, seeds: envelope_forms::seeds },
    Target { name: "published_keys", run: published_keys::run, seeds: published_keys::seeds },
    Target { name: "pairwise_message", run: pairwise_message::run, seeds: pairwise_message::seeds },
    Target { name: "saved_state", run: saved_state::run, seeds: saved_state::seeds },
    Target { name: "two_party", run: two_party::run, seeds: two_party::seeds },
    Target { name: "machines", run: machines::run, seeds: machines::seeds },
    Target { name: "sealed_forms", run: sealed_forms::run, seeds: sealed_forms::seeds },
];
