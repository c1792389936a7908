//! What the program prints to try when it is up, tried as it stands.

use std::process::{Command, Output};

use conclave::wire::{FlowStarted, SessionTokens, Sessions};
use serde::de::DeserializeOwned;

use crate::node_process::{DataFolder, NodeProcess};
use crate::providers::parameter;

/// A shell, in a home of its own, of somebody who has the program on their path.
struct Shell {
    home: DataFolder,
}

impl Shell {
    fn new() -> Self {
        let home = DataFolder::new();
        home.write("passphrase", "correct horse battery staple\n");
        // Nothing leaves this machine, and what the node answers beside a body is kept.
        let headers = home.path().join("headers");
        home.write(".curlrc", &format!("noproxy = \"*\"\ndump-header = \"{}\"\n", headers.display()));
        Self { home }
    }

    fn run(&self, lines: &[&str]) -> Output {
        let program = env!("CARGO_BIN_EXE_conclave");
        let path = format!("PATH='{}':$PATH", program.strip_suffix("/conclave").unwrap());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &[&[&*path], lines].concat().join("\n")])
            .env("HOME", self.home.path())
            .env("CURL_HOME", self.home.path())
            .env("CONCLAVE_PASSPHRASE_FILE", self.home.path().join("passphrase"));
        shell.output().unwrap()
    }

    /// What lines print that do what they say.
    #[track_caller]
    fn types(&self, lines: &[&str]) -> String {
        let output = self.run(lines);
        assert!(output.status.success(), "{lines:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a line prints that makes a call, which is answered with this status.
    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "what curl has written is looked at")]
    fn calls(&self, line: &str, status: u16) -> String {
        let printed = self.types(&[line]);
        let headers = std::fs::read_to_string(self.home.path().join("headers")).unwrap();
        assert!(headers.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {headers}{printed}");
        printed
    }

    #[track_caller]
    fn asks<T: DeserializeOwned>(&self, line: &str) -> T {
        let printed = self.calls(line, 200);
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{line}: {error}: {printed}"))
    }
}

/// A line with what its reader puts in the place of a word.
#[track_caller]
fn fill(line: &str, word: &str, with: &str) -> String {
    assert!(line.contains(word), "{line}");
    line.replace(word, with)
}

#[test]
fn calls_that_are_printed_sign_somebody_in_and_use_the_token() {
    let (shell, folder) = (Shell::new(), DataFolder::new());
    let mut node = NodeProcess::start(folder.path(), |_| ());
    let lines = node.says_under("Or call it, each line with what the one before answered:");
    let [begin, name, complete, use_it] = &lines[..] else { panic!("{lines:?}") };

    let flow: FlowStarted = shell.asks(begin);
    let arrived = shell.calls(&fill(name, "AUTHORIZATION_URL", flow.authorization_url.expose()), 303);
    let [code, state] = ["code", "state"].map(|name| parameter(arrived.trim(), name));
    assert_eq!(state, flow.state.expose());
    let tokens: SessionTokens = shell.asks(&fill(&fill(complete, "\"CODE\"", &format!("\"{code}\"")), "STATE", &state));
    let listed: Sessions = shell.asks(&fill(use_it, "ACCESS_TOKEN", tokens.access_token.expose()));

    let [session] = &listed.sessions[..] else { panic!("{listed:?}") };
    assert_eq!(session.session_id, tokens.session_id);
}

#[test]
fn commands_that_are_printed_bring_two_people_into_a_room() {
    let (shell, folder) = (Shell::new(), DataFolder::new());
    let mut node = NodeProcess::start(folder.path(), |_| ());
    let lines = node.says_under("Talk, as two people with a terminal each (in the second one, grace in place of ada):");
    let [profile, login, create, invite, chat] = &lines[..] else { panic!("{lines:?}") };

    assert!(shell.types(&[profile, login]).contains("conclave recovery kit"));
    assert!(shell.types(&[profile, create]).contains("garden: 1 member"));
    let join = shell.types(&[profile, invite]);
    let of_grace = fill(profile, "ada", "grace");
    assert!(shell.types(&[&of_grace, &fill(login, "ada", "grace")]).contains("conclave recovery kit"));
    assert!(shell.types(&[&of_grace, &join]).contains("garden: 2 members"));

    // It has understood the line, opened the profile and looked for a terminal: what is wrong is that there is none.
    for profile in [profile, &of_grace] {
        let output = shell.run(&[profile, chat]);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && words.contains("a chat needs a terminal"), "{words}");
    }
}
