//! A disk for one node, which can lose its power, lie, fail or be full (`disk.c`).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use conclave::node::store::Store;

use crate::preload;
use crate::process::NodeProcess;
use crate::server::DataFolder;

/// How a disk is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// What it says was synced is there after a loss of power.
    Honest,
    /// It says so and it is not: as a store would be that does not sync.
    Lying,
    /// It cannot sync.
    Failing,
    /// No file can grow.
    Full,
}

/// A node's data folder on such a disk.
pub(super) struct Disk {
    root: DataFolder,
}

#[expect(clippy::disallowed_methods, reason = "these tests are about files")]
impl Disk {
    /// An honest one.
    pub(super) fn new() -> Self {
        let disk = Self { root: DataFolder::new() };
        std::fs::create_dir(disk.data()).unwrap();
        std::fs::create_dir(disk.platter()).unwrap();
        disk.set(Mode::Honest);
        disk
    }

    /// The node's data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Starts a node whose data is on this disk.
    pub(super) fn start_node(&self) -> NodeProcess {
        NodeProcess::start(&self.data(), |process| {
            process
                .env("LD_PRELOAD", library())
                .env("FAULTS_FOLDER", self.data())
                .env("FAULTS_PLATTER", self.platter())
                .env("FAULTS_MODE", self.mode());
        })
    }

    pub(super) fn set(&self, mode: Mode) {
        let byte = match mode {
            Mode::Honest => "h",
            Mode::Lying => "l",
            Mode::Failing => "f",
            Mode::Full => "n",
        };
        // A file of one byte is there whole or not at all.
        std::fs::write(self.root.path().join("next-mode"), byte).unwrap();
        std::fs::rename(self.root.path().join("next-mode"), self.mode()).unwrap();
    }

    /// What was not synced is gone. No process has the folder open.
    pub(super) fn lose_power(&self) {
        std::fs::remove_dir_all(self.data()).unwrap();
        std::fs::create_dir(self.data()).unwrap();
        for file in std::fs::read_dir(self.platter()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), self.data().join(file.file_name())).unwrap();
        }
        assert!(self.data().join(Store::FILE_NAME).exists(), "nothing was ever synced: the disk is not under the node");
    }

    fn platter(&self) -> PathBuf {
        self.root.path().join("platter")
    }

    fn mode(&self) -> PathBuf {
        self.root.path().join("mode")
    }
}

/// `disk.c`, built.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::build("faults/disk.c"))
}
