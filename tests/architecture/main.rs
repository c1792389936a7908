//! The shape of the program, read from its source and held to the design.
//!
//! - Imports point down only: `layers.rs` has the table.
//! - A module that is not in every build is gated by its feature, and one that is has no gate.
//! - A file is at most 600 lines long, tests not counted.
//! - `#[allow]` and `#[expect]` give a reason.
//! - Every method of the store is in the suite that every database has to pass.
//!
//! The text is read as tokens, so comments, strings and line breaks do not matter, and code that a
//! feature switches off is read too. A path that starts at the crate or climbs with `super` is an
//! edge, wherever it stands. A path to a child of the module it is in (`use secret::KemSecretKey` in
//! `protocol/mod.rs`) is not: only `lib.rs`, `protocol/mod.rs` and `node/mod.rs` have children in
//! another layer, and there a name that is switched off does not compile.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

mod edges;
mod layers;
mod rules;
mod source;
mod store;

use std::path::Path;

use rules::Violation;

#[test]
fn source_keeps_the_design() {
    let sources = source::read_folder(root(), "src");
    assert!(sources.iter().any(|source| source.path == "src/protocol/public/mod.rs"), "src was not read");

    let violations: Vec<Violation> = sources.iter().flat_map(rules::check).collect();

    report(&violations);
}

#[test]
fn exceptions_to_lints_give_a_reason_outside_src_too() {
    let sources = ["tests", "benches", "fuzz"].iter().flat_map(|folder| source::read_folder(root(), folder));

    let violations: Vec<Violation> = sources.flat_map(|source| rules::exceptions_without_reason(&source)).collect();

    report(&violations);
}

#[test]
fn every_method_of_the_store_is_in_its_suite() {
    let methods = store::methods(&source::read_folder(root(), "src/node/store"));
    assert!(methods.contains("open_session"), "the store was not read");

    let calls = store::calls(&source::read_folder(root(), "tests/node/store"));

    let without: Vec<&String> = methods.difference(&calls).collect();
    assert!(without.is_empty(), "no call in tests/node/store: {without:?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn report(violations: &[Violation]) {
    if !violations.is_empty() {
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        panic!("{} violations of the design:\n{}", lines.len(), lines.join("\n"));
    }
}
