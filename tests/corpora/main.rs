//! The fuzz targets' committed corpora, replayed as plain tests: what fuzzing has found stays found.
//!
//! With `CONCLAVE_WRITE_SEEDS=1` each target's genuine examples are first written into its corpus.

#![cfg(feature = "holder")]
#![expect(clippy::disallowed_methods, reason = "corpora are files, and written where the test is told to")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bodies::{TARGETS, Target};

/// How many prefixes of one example are tried, evenly spaced from its start to its end.
const PREFIXES_MAX: usize = 300;

#[test]
fn envelope_forms() {
    replay("envelope_forms");
}

#[test]
fn published_keys() {
    replay("published_keys");
}

#[test]
fn pairwise_message() {
    replay("pairwise_message");
}

#[test]
fn saved_state() {
    replay("saved_state");
}

#[test]
fn two_party() {
    replay("two_party");
}

#[test]
fn machines() {
    replay("machines");
}

#[test]
fn sealed_forms() {
    replay("sealed_forms");
}

#[test]
fn every_target_has_a_corpus_and_a_replay() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let mut built: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let mut replayed: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    built.sort_unstable();
    replayed.sort_unstable();
    assert_eq!(built, replayed, "fuzz/Cargo.toml and bodies::TARGETS name the same targets");
    for target @ Target { name, .. } in TARGETS {
        write_seeds(target);
        assert!(!inputs(name).is_empty(), "the corpus of {name} is empty");
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let Target { run, seeds, .. } = target;
    write_seeds(target);
    let inputs = inputs(name);
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    for path in inputs {
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
    }
    for (seed, bytes) in seeds() {
        let committed = fs::read(corpus(name).join(&seed)).unwrap();
        assert!(committed == bytes, "{seed} is not what the code makes today: write the examples anew");
        println!("prefixes of {seed}");
        for end in (0..=bytes.len()).rev().step_by(1 + bytes.len() / PREFIXES_MAX) {
            run(&bytes[..end]);
        }
    }
}

/// Writes a target's genuine examples into its corpus, if that is asked for.
fn write_seeds(target: &Target) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if std::env::var_os("CONCLAVE_WRITE_SEEDS").is_none() {
        return;
    }
    let _turn = ONE_AT_A_TIME.lock();
    fs::create_dir_all(corpus(target.name)).unwrap();
    for (seed, bytes) in (target.seeds)() {
        let path = corpus(target.name).join(seed);
        // Another test may be reading what is there already.
        if fs::read(&path).ok().as_ref() != Some(&bytes) {
            fs::write(path, bytes).unwrap();
        }
    }
}

/// The files of a target's corpus; a missing folder is an error.
fn inputs(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus(name)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort_unstable();
    files
}

fn corpus(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
