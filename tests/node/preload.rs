//! Libraries that stand between a program and its system (`LD_PRELOAD`): what a test says is wrong or elsewhere, is for that
//! one process.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds such a library. Its source is beside the tests that use it.
pub(crate) fn build(source: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(source);
    let name = source.file_stem().unwrap().display();
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compiler.status().unwrap().success(), "{} does not build", source.display());
    library
}
