//! What a person and their programs keep in the vault.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::person::Person;
use crate::process::{DataFolder, NodeProcess};

fn lines(shown: &str) -> Vec<Value> {
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_kept_is_found_by_its_name_whoever_has_written_it() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = (Person::at(&node.url, "ada"), Person::at(&node.url, "grace"));
    let put = ada.does(&["memory", "put", "what does ada drink?", "tea, no sugar"]);
    assert!(put.ends_with("  version 1\n"), "{put}");
    let notes = ada.write("notes.txt", "a line\nand another\n\n");
    ada.does(&["memory", "put", "notes", "--file", &notes]);
    ada.pipes(&["memory", "put", "piped", "-"], "from a pipe\n");
    let program = json!({"query": "q", "response": "r", "timestamp": 7, "context": {"from": "chat"}});
    let kept = lines(&ada.pipes(&["memory", "put", "--json"], &program.to_string()));
    assert_eq!((&kept[0]["type"], &kept[0]["version"], &kept[0]["name"]), (&"kept".into(), &1.into(), &"q".into()));

    assert_eq!(ada.does(&["memory", "get", "what does ada drink?"]), "tea, no sugar\n");
    assert_eq!(ada.does(&["memory", "get", "notes"]), "a line\nand another\n");
    assert_eq!(ada.does(&["memory", "get", "piped"]), "from a pipe\n");
    let id = kept[0]["id"].as_str().unwrap();
    for name in ["q", id] {
        let found = lines(&ada.does(&["memory", "get", name, "--json"]));
        assert_eq!(
            (&found[0]["type"], &found[0]["id"], &found[0]["content"]),
            (&"memory".into(), &id.into(), &program)
        );
    }
    let list = ada.does(&["memory", "list"]);
    let names: Vec<&str> = list.lines().filter_map(|line| line.splitn(6, ' ').last()).collect();
    assert_eq!(list.lines().count(), 4, "{list}");
    assert!(list.lines().next().unwrap().ends_with("what does ada drink?") && list.ends_with(" q\n"), "{names:?}");

    ada.does(&["memory", "delete", "notes"]);
    assert_eq!(lines(&ada.does(&["memory", "list", "--json"])).len(), 3);
    for command in [&["memory", "get", "notes"][..], &["memory", "delete", "notes"], &["memory", "get", "never"]] {
        let (status, words) = ada.fails(command);
        assert!(status == 6 && words.contains("nothing is kept under"), "{words}");
    }
    assert_eq!(grace.does(&["memory", "list"]), "");
    assert_eq!(grace.fails(&["memory", "get", id]).0, 6);
}

#[test]
fn collections_keep_apart_what_has_the_same_name_and_chats_have_turns() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::at(&node.url, "ada");
    ada.does(&["memory", "put", "monday", "a day"]);
    ada.does(&["memory", "put", "monday", "the first", "--collection", "days"]);
    let chat = r#"{"turns": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hello, ada"}]}"#;
    ada.pipes(&["memory", "put", "monday", "--json", "--collection", "chats"], chat);

    assert_eq!(ada.does(&["memory", "get", "monday"]), "a day\n");
    assert_eq!(ada.does(&["memory", "get", "monday", "--collection", "days"]), "the first\n");
    let shown = ada.does(&["memory", "get", "monday", "--collection", "chats"]);
    assert_eq!(shown, "user: hello\nassistant: hello, ada\n");
    let shown = lines(&ada.does(&["memory", "list", "--json", "--collection", "chats"]));
    assert_eq!((&shown[0]["type"], &shown[0]["content"]["session_id"]), (&"chat".into(), &"monday".into()));
    let collections = lines(&ada.does(&["memory", "collections", "--json"]));
    let mut names: Vec<&str> = collections.iter().filter_map(|line| line["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["chats", "days", "memories"]);

    for wrong in [
        &["memory", "put", "tuesday", "hello", "--collection", "chats"][..],
        &["memory", "put", "tuesday", "{}", "--json"],
        &["memory", "put", "", "nothing"],
        &["memory", "put", "AAAAAAAAAAAAAAAAAAAAAA", "an id"],
        &["memory", "list", "--collection", "My Days"],
        &["memory", "put"],
    ] {
        let (status, words) = ada.fails(wrong);
        assert_eq!(status, 2, "{words}");
    }
}

#[test]
fn a_write_over_another_version_than_it_says_changes_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::at(&node.url, "ada");
    ada.does(&["memory", "put", "tea", "black", "--version", "0"]);
    ada.does(&["memory", "put", "tea", "green"]);
    for said in ["0", "1", "3"] {
        let (status, words) = ada.fails(&["memory", "put", "tea", "lost", "--version", said]);
        assert!(status == 6 && words.contains("version 2 is there"), "{words}");
    }
    assert_eq!(ada.fails(&["memory", "delete", "tea", "--version", "1"]).0, 6);
    assert_eq!(ada.does(&["memory", "get", "tea"]), "green\n");
    let put = ada.does(&["memory", "put", "tea", "white", "--version", "2"]);
    assert!(put.ends_with("  version 3\n"), "{put}");
    ada.does(&["memory", "delete", "tea", "--version", "3"]);
    let (status, words) = ada.fails(&["memory", "put", "tea", "lost", "--version", "3"]);
    assert!(status == 6 && words.contains("nothing is there now"), "{words}");
    let put = ada.does(&["memory", "put", "tea", "anew", "--version", "0"]);
    assert!(put.ends_with("  version 5\n"), "{put}");
}

#[test]
fn a_node_that_takes_back_what_was_kept_is_told_of_until_the_user_accepts_it() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::at(&node.url, "ada");
    ada.does(&["memory", "put", "tea", "black"]);
    let database = rusqlite::Connection::open(folder.path().join("conclave.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    for table in ["vault_items", "vault_collections"] {
        assert_eq!(database.execute(&format!("DELETE FROM {table}"), []).unwrap(), 1);
    }

    let (status, words) = ada.fails(&["memory", "get", "tea"]);
    assert!(status == 5 && words.contains("THE NODE LIES ABOUT memories") && words.contains("accept"), "{words}");
    for command in [&["memory", "get", "tea", "--json"][..], &["memory", "list", "--json"]] {
        let output = ada.output(command);
        assert_eq!(output.status.code(), Some(5));
        let said = lines(&String::from_utf8(output.stdout).unwrap());
        assert_eq!((&said[0]["type"], &said[0]["code"]), (&"lie".into(), &"vault_rolled_back".into()), "{said:?}");
    }
    ada.does(&["memory", "accept"]);
    assert_eq!(ada.fails(&["memory", "get", "tea"]).0, 6);
    ada.does(&["memory", "put", "tea", "again", "--version", "0"]);
}

#[test]
fn a_linked_device_says_what_it_waits_for_and_gets_the_key_of_one_that_is_on() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, tablet) = (Person::at(&node.url, "ada"), Person::new());
    ada.does(&["memory", "put", "tea", "black"]);
    let mut waiting = tablet.command(&["devices", "link", "--url", &node.url, "--name", "ada"]);
    let mut waiting = waiting.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut shown = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    let code = shown.find_map(|line| Some(line.split_once("approve ")?.1.to_owned())).unwrap();
    // It is not there to ask for the key, nor is the first one when it asks.
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    ada.does(&["devices", "approve", &code]);
    tablet.does(&["devices", "link", "--url", &node.url, "--name", "ada"]);

    let (status, words) = tablet.fails(&["memory", "get", "tea"]);
    assert!(status == 1 && words.contains("conclave listen"), "{words}");
    let mut listener = ada.command(&["listen", "--json"]).stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(tablet.does(&["memory", "get", "tea"]), "black\n");
    listener.kill().unwrap();
    listener.wait().unwrap();
}
