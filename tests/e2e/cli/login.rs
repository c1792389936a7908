//! Ways to sign in, beside `--name`.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::person::Person;
use crate::process::{DataFolder, NodeProcess};
use crate::sign_in::{read_page, sign_in_elsewhere, sign_in_here};
use crate::user::{PATIENCE, sign_in};

/// A login that waits for a browser, and what it says to whoever is to open one.
struct Waiting {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Waiting {
    fn begin(person: &Person, arguments: &[&str]) -> Self {
        let mut command = Command::from(person.command(arguments));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said }
    }

    /// The first that a line says of what is wanted.
    async fn says(&mut self, wanted: impl Fn(&str) -> Option<String>) -> String {
        let mut passed = Vec::new();
        loop {
            let line = timeout(PATIENCE, self.said.next_line()).await.unwrap_or_else(|_| panic!("only {passed:?}"));
            let line = line.unwrap().unwrap_or_else(|| panic!("it has ended after {passed:?}"));
            if let Some(found) = wanted(&line) {
                return found;
            }
            passed.push(line);
        }
    }

    /// What it writes, when it has succeeded.
    async fn writes(self) -> String {
        let output = timeout(PATIENCE, self.child.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test]
async fn a_login_is_finished_by_a_browser_on_this_machine() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::new();
    let login = ["login", "--url", &node.url, "--provider", "development"];
    let (status, words) = ada.fails(&login[..3]);
    assert!(status == 2 && words.contains("--name"), "{words}");
    let (status, words) = ada.fails(&[&login[..3], &["--provider", "nobody"]].concat());
    assert!(status == 1 && words.contains("no such provider"), "{words}");

    let address = |line: &str| line.trim().starts_with("http").then(|| line.trim().to_owned());
    for shown in ["conclave recovery kit, version 1", "Signed in again as"] {
        let mut waiting = Waiting::begin(&ada, &login);
        let home = sign_in_here(&waiting.says(address).await, &node.url).await;
        assert!(read_page(&home).await.contains("You are signed in."));
        let written = waiting.writes().await;
        assert!(written.contains(shown), "{written}");
    }
    assert_eq!(ada.account(), sign_in(&node.url, "ada").await.account_id().to_string());
}

#[tokio::test]
async fn a_login_without_a_browser_is_finished_by_its_code_elsewhere() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::new();
    let login = ["login", "--url", &node.url, "--provider", "development", "--device-flow"];
    let mut waiting = Waiting::begin(&ada, &login);
    let said = waiting.says(|line| line.starts_with("Open ").then(|| line.to_owned())).await;
    let (page, rest) = said.strip_prefix("Open ").unwrap().split_once(" in a browser, and type ").unwrap();
    let (code, _) = rest.split_once(" (until ").unwrap();
    let done = sign_in_elsewhere(page, code).await;
    assert!(done.contains("Your device is signed in"), "{done}");
    let written = waiting.writes().await;
    assert!(written.contains("conclave recovery kit, version 1"), "{written}");
    assert_eq!(ada.account(), sign_in(&node.url, "ada").await.account_id().to_string());
}

#[tokio::test]
async fn a_login_takes_the_token_of_another_sign_in_once() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::new();
    let signed_in = sign_in(&node.url, "ada").await;
    let token = signed_in.tokens().refresh_token.expose();
    let login = ["login", "--url", &node.url, "--token", "-"];
    let shown = ada.pipes(&login, &format!("{token}\n"));
    assert!(shown.contains("conclave recovery kit, version 1"), "{shown}");
    assert_eq!(ada.account(), signed_in.account_id().to_string());

    let again = sign_in(&node.url, "ada").await;
    let mut command = ada.command(&["login"]);
    let output = command.env("CONCLAVE_TOKEN", again.tokens().refresh_token.expose()).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"Signed in again as"), "{output:?}");
    assert!(ada.does(&["whoami"]).contains("connected"));

    let (status, words) = Person::new().fails(&["login", "--url", &node.url, "--token", token]);
    assert!(status == 1 && words.contains("the token was used before"), "{status}: {words}");
}
