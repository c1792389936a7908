//! That each rule can fail: small false files, and exactly what is reported of them.

use super::*;

/// Asserts that a file breaks the rules in these ways, as `line: message`, and in no other.
#[track_caller]
fn assert_reported(path: &str, text: &str, expected: &[&str]) {
    let reported: Vec<String> = check(&Source::new(path, text)).iter().map(ToString::to_string).collect();
    let expected: Vec<String> = expected.iter().map(|rest| format!("{path}:{rest}")).collect();
    assert_eq!(reported, expected);
}

#[test]
fn imports_along_the_arrows_pass() {
    assert_reported("src/ids.rs", "use crate::ids::A;", &[]);
    assert_reported("src/wire/a.rs", "use crate::ids::A; use super::b::C;", &[]);
    assert_reported("src/protocol/public/a.rs", "use crate::{ids, wire, protocol::public::b};", &[]);
    assert_reported("src/protocol/seal/a.rs", "use crate::protocol::{public::K, secret::S}; use crate::wire::W;", &[]);
    assert_reported("src/client/a.rs", "use crate::protocol::machine::M;", &[]);
    assert_reported("src/wasm/mod.rs", "use crate::{client::C, protocol::machine::M};", &[]);
    assert_reported("src/cli/a.rs", "use crate::{client::C, node::N};", &[]);
    assert_reported("src/node/ws/a.rs", "use crate::{ids, protocol::public, wire}; use crate::node::custody::C;", &[]);
    assert_reported("src/node/custody/a.rs", "use crate::{node::http::H, protocol::ratchet::R};", &[]);
    assert_reported("src/main.rs", "use crate::{cli, node};", &[]);
}

#[test]
fn ids_use_nothing() {
    assert_reported("src/ids.rs", "use crate::wire::Bytes;", &["1: ids may not use wire: crate::wire::Bytes"]);
}

#[test]
fn wire_does_not_use_protocol() {
    assert_reported(
        "src/wire/device.rs",
        "\nuse crate::{ids::A, protocol::public::SigningPublicKey};",
        &["2: wire may not use protocol::public: crate::protocol::public::SigningPublicKey"],
    );
    assert_reported(
        "src/wire/device.rs",
        "fn f() { super::super::protocol::seal::open() }",
        &["1: wire may not use protocol (holder): crate::protocol::seal::open"],
    );
}

#[test]
fn public_part_does_not_use_holder() {
    assert_reported(
        "src/protocol/public/device.rs",
        "use crate::protocol::secret::KemSecretKey;",
        &["1: protocol::public may not use protocol (holder): crate::protocol::secret::KemSecretKey"],
    );
    assert_reported(
        "src/protocol/public/device.rs",
        "use super::super::secret::KemSecretKey;",
        &["1: protocol::public may not use protocol (holder): crate::protocol::secret::KemSecretKey"],
    );
    assert_reported(
        "src/protocol/public/device.rs",
        "mod tests { use super::super::super::*; }",
        &["1: protocol::public may not use protocol (holder): crate::protocol"],
    );
}

#[test]
fn node_does_not_use_holder() {
    let message = "1: node may not use protocol (holder): crate::protocol";
    assert_reported(
        "src/node/ws/session.rs",
        "use crate::protocol::ratchet::Session;",
        &[&format!("{message}::ratchet::Session")],
    );
    assert_reported("src/node/ws/session.rs", "use crate::protocol::{self, public};", &[message]);
    assert_reported("src/node/ws/session.rs", "fn f() -> crate::protocol::Open {}", &[&format!("{message}::Open")]);
    assert_reported("src/node/custody_of_rooms.rs", "use crate::protocol::seal;", &[&format!("{message}::seal")]);
}

#[test]
fn node_and_client_do_not_know_each_other() {
    assert_reported(
        "src/node/a.rs",
        "use crate::client::C; use crate::cli::D;",
        &["1: node may not use client: crate::client::C", "1: node may not use cli: crate::cli::D"],
    );
    assert_reported(
        "src/client/a.rs",
        "use crate::node::N; use crate::wasm::W;",
        &["1: client may not use node: crate::node::N", "1: client may not use wasm: crate::wasm::W"],
    );
    assert_reported(
        "src/node/custody/a.rs",
        "use crate::client::C;",
        &["1: node::custody may not use client: crate::client::C"],
    );
    assert_reported(
        "src/wasm/a.rs",
        "use crate::node::N; use crate::cli::C;",
        &["1: wasm may not use node: crate::node::N", "1: wasm may not use cli: crate::cli::C"],
    );
    assert_reported(
        "src/cli/a.rs",
        "use crate::node::custody::C; use crate::wasm::W;",
        &["1: cli may not use node::custody: crate::node::custody::C", "1: cli may not use wasm: crate::wasm::W"],
    );
}

#[test]
fn core_uses_nothing_above_it() {
    for above in ["node", "node::custody", "client", "wasm", "cli"] {
        let text = format!("use crate::{above}::X;");
        for (path, layer) in [
            ("src/ids.rs", "ids"),
            ("src/wire/a.rs", "wire"),
            ("src/protocol/public/a.rs", "protocol::public"),
            ("src/protocol/seal/a.rs", "protocol (holder)"),
            ("src/protocol/mod.rs", "protocol (holder)"),
        ] {
            assert_reported(path, &text, &[&format!("1: {layer} may not use {above}: crate::{above}::X")]);
        }
    }
}

#[test]
fn nothing_goes_around_by_the_root() {
    assert_reported("src/wire/a.rs", "use crate::*;", &["1: wire may not use the root of the crate: crate::"]);
    assert_reported("src/wire/a.rs", "use crate as c;", &["1: wire may not use the root of the crate: crate::"]);
    assert_reported(
        "src/wire/a.rs",
        "use crate::Shortcut;",
        &["1: crate::Shortcut is in no layer: give its module one in tests/architecture/layers.rs"],
    );
}

#[test]
fn new_module_needs_a_layer() {
    assert_reported(
        "src/util/time.rs",
        "",
        &["1: crate::util::time is in no layer: give its module one in tests/architecture/layers.rs"],
    );
}

#[test]
fn modules_that_hold_secrets_are_gated() {
    assert_reported("src/protocol/mod.rs", "pub mod public;\n#[cfg(feature = \"holder\")]\npub mod secret;", &[]);
    assert_reported(
        "src/protocol/mod.rs",
        "pub mod public;\npub mod secret;",
        &["2: `mod secret` must be gated by #[cfg(feature = \"holder\")] alone"],
    );
    assert_reported(
        "src/protocol/mod.rs",
        "#[cfg(feature = \"node\")]\nmod secret;",
        &["1: `mod secret` must be gated by #[cfg(feature = \"holder\")] alone"],
    );
    assert_reported(
        "src/protocol/mod.rs",
        "#[cfg(any(feature = \"holder\", unix))]\nmod secret {}",
        &["1: `mod secret` must be gated by #[cfg(feature = \"holder\")] alone"],
    );
    assert_reported(
        "src/protocol/mod.rs",
        "#[cfg(feature = \"holder\")]\npub mod public;",
        &["1: `mod public` is in every build: it has no gate"],
    );
}

#[test]
fn features_are_top_level_modules() {
    assert_reported(
        "src/lib.rs",
        "pub mod ids;\n#[cfg(feature = \"node\")]\npub mod node;\n#[cfg(test)]\nmod tests;",
        &[],
    );
    assert_reported(
        "src/lib.rs",
        "#[cfg(feature = \"node\")]\nmod cli;\npub mod client;\nmod wasm;\nmod node;",
        &[
            "1: `mod cli` must be gated by #[cfg(feature = \"cli\")] alone",
            "3: `mod client` must be gated by #[cfg(feature = \"client\")] alone",
            "4: `mod wasm` must be gated by #[cfg(feature = \"wasm\")] alone",
            "5: `mod node` must be gated by #[cfg(feature = \"node\")] alone",
        ],
    );
    assert_reported(
        "src/node/mod.rs",
        "mod http;\nmod custody;",
        &["2: `mod custody` must be gated by #[cfg(feature = \"custody\")] alone"],
    );
}

#[test]
fn files_are_bounded_before_their_tests() {
    let lines = |count: usize| "const A: u8 = 1;\n".repeat(count);
    let with_tests = |count| format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(count), lines(300));
    let too_long = "601: 601 lines before the tests, at most 600";

    assert_reported("src/wire/a.rs", &lines(600), &[]);
    assert_reported("src/wire/a.rs", &lines(601), &[too_long]);
    assert_reported("src/wire/a.rs", &with_tests(600), &[]);
    assert_reported("src/wire/a.rs", &with_tests(601), &[too_long]);
    assert_reported("src/wire/a.rs", &format!("#[cfg(test)]\n{}", lines(600)), &[too_long]);
    assert_reported("src/wire/a/tests.rs", &lines(601), &[]);
}

#[test]
fn exceptions_need_a_reason() {
    assert_reported("src/wire/a.rs", "#[expect(dead_code, reason = \"later\")]\nfn allow(expect: (u8,)) {}", &[]);
    assert_reported("src/wire/a.rs", "fn f() { Some(1).expect(\"no attribute\"); allow(1); }", &[]);
    assert_reported(
        "src/wire/a.rs",
        "#![allow(dead_code)]\n#[allow(a, b)]\nfn f() {}",
        &["1: #[allow(..)] without a reason", "2: #[allow(..)] without a reason"],
    );
    assert_reported(
        "src/wire/a.rs",
        "fn f() {\n#[expect(dead_code)]\nlet a = 1; }",
        &["2: #[expect(..)] without a reason"],
    );
    assert_reported(
        "src/wire/a.rs",
        "macro_rules! m { () => { #[cfg_attr(test, allow(dead_code))] fn f() {} } }",
        &["1: #[allow(..)] without a reason"],
    );
}
