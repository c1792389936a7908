//! Somebody with a profile, who types commands.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::process::DataFolder;

/// A profile, in a folder that goes when the test does.
pub(super) struct Person {
    folder: DataFolder,
    passphrase_file: PathBuf,
}

impl Person {
    pub(super) fn new() -> Self {
        let folder = DataFolder::new();
        let passphrase_file = folder.write("passphrase", "correct horse battery staple\n");
        Self { folder, passphrase_file }
    }

    /// Somebody who has signed in at a node for development.
    pub(super) fn at(url: &str, name: &str) -> Self {
        let person = Self::new();
        let shown = person.does(&["login", "--url", url, "--name", name]);
        assert!(shown.contains("conclave recovery kit, version 1") && shown.contains("If all your"), "{shown}");
        person
    }

    pub(super) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
        command
            .args(arguments)
            .env("CONCLAVE_PROFILE", self.folder.path().join("profile"))
            .env("CONCLAVE_PASSPHRASE_FILE", &self.passphrase_file)
            .stdin(Stdio::null());
        command
    }

    pub(super) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command writes that succeeds.
    pub(super) fn does(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The status and the words of a command that fails.
    pub(super) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// What a command writes that reads `input`.
    pub(super) fn pipes(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The account's id.
    pub(super) fn account(&self) -> String {
        let who: Value = serde_json::from_str(&self.does(&["whoami", "--json"])).unwrap();
        who["account"].as_str().unwrap().to_owned()
    }

    /// What was missed, as JSON.
    pub(super) fn hears(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments = [&["listen", "--json", "--caught-up", "--timeout", "20"], arguments].concat();
        self.does(&arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The texts that were missed.
    pub(super) fn hears_texts(&self) -> Vec<String> {
        let messages = self.hears(&[]).into_iter().filter(|event| event["type"] == "message");
        messages.map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    }

    /// A path in the person's folder.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> String {
        self.folder.write(name, text).to_str().unwrap().to_owned()
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}\n{err}", output.status)
}
