//! The project's own vectors: `tests/vectors/pairwise.json`, with every intermediate value.
//!
//! The file is frozen. The test computes it anew from seeded randomness, by the internal functions one
//! after another, and holds the products against those of the public path: `initiate` and `respond`,
//! `PairwiseSession::seal` and `open`. Every part of the file is a case: `inputs`, with all secret
//! keys, and `expected`. `tests/python/verify_vectors.py` reads the inputs and finds the rest by itself.
//!
//! With `CONCLAVE_WRITE_VECTORS=1` in the environment the test writes the file: see
//! `tests/vectors/OWN.md`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "the test writes its file when it is told to")]

mod agreements;
mod conversation;
mod envelopes;
mod fields;
mod parties;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::wire::{Custody, Protection, RoomPolicy, Signatures, Timestamp};

pub(in crate::protocol) use fields::Fields;

/// When everything in the file happens.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/pairwise.json");

fn policy(protection: Protection, signatures: Signatures) -> RoomPolicy {
    RoomPolicy { custody: Custody::Client, protection, signatures }
}

fn policy_fields(policy: RoomPolicy) -> Fields {
    Fields::default()
        .value("custody", serde_json::to_value(policy.custody).unwrap())
        .value("protection", serde_json::to_value(policy.protection).unwrap())
        .value("signatures", serde_json::to_value(policy.signatures).unwrap())
}

/// The whole file.
fn vectors() -> Fields {
    let mut rng = ChaCha20Rng::seed_from_u64(0xC0_4C_1A_7E);
    let (initiator, initiator_case) = parties::party(&mut rng);
    let (responder, responder_case) = parties::party(&mut rng);
    let (prekeys, prekeys_case) = parties::prekeys(&responder, &mut rng);
    let (with_one_time, with_case) = agreements::agree(&initiator, &responder, &prekeys, true, &mut rng);
    let (without_one_time, without_case) = agreements::agree(&initiator, &responder, &prekeys, false, &mut rng);
    let (carried, long) = conversation::long(with_one_time, &mut rng);
    let short = conversation::short(without_one_time, &mut rng);
    let envelopes = envelopes::envelopes(&initiator, &responder, carried, &mut rng);
    Fields::default()
        .object("parties", Fields::default().object("initiator", initiator_case).object("responder", responder_case))
        .object("prekeys", prekeys_case)
        .list("agreements", vec![with_case, without_case])
        .list("conversations", vec![long, short])
        .list("envelopes", envelopes)
}

#[test]
fn the_frozen_vectors_are_what_the_code_computes() {
    let computed = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("CONCLAVE_WRITE_VECTORS").is_some() {
        std::fs::write(FILE, &computed).unwrap();
    }
    let frozen = std::fs::read_to_string(FILE).unwrap();
    for (number, (frozen, computed)) in frozen.lines().zip(computed.lines()).enumerate() {
        assert_eq!(frozen, computed, "line {}", number + 1);
    }
    assert_eq!(frozen.len(), computed.len());
}
