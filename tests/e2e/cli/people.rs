//! From the first login to the first message, and what follows.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::person::Person;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;

/// Two people in a room, who have names for each other.
pub(super) fn in_a_garden(url: &str) -> (Person, Person) {
    let (ada, grace) = (Person::at(url, "ada"), Person::at(url, "grace"));
    ada.does(&["contact", "add", "grace", &grace.account()]);
    grace.does(&["contact", "add", "ada", &ada.account()]);
    let made = ada.does(&["room", "create", "garden"]);
    assert!(made.contains("garden: 1 member") && made.contains("only the members can read it"), "{made}");
    let invitation = ada.does(&["room", "invite", "garden", "grace"]);
    let words: Vec<&str> = invitation.split_whitespace().skip(1).collect();
    let joined = grace.does(&words);
    assert!(joined.contains("garden: 2 members (ratchet, signed)") || joined.contains("garden: 2 members"), "{joined}");
    (ada, grace)
}

#[test]
fn two_people_meet_talk_and_hear_each_message_once() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);

    let id = ada.does(&["send", "--room", "garden", "the roses are out"]);
    ada.pipes(&["send", "--to", "grace"], "a letter\nof two lines\n");
    ada.pipes(&["send", "--room", "garden", "--json", "-"], "{\"task\": \"water\"}");
    // Sending takes nothing from who listens later.
    grace.does(&["send", "--to", "ada", "on my way"]);

    let heard = grace.hears(&[]);
    let messages: Vec<_> = heard.iter().filter(|event| event["type"] == "message").collect();
    assert_eq!(messages.len(), 3, "{heard:?}");
    let said = |content: &Value| *messages.iter().find(|message| message["content"] == *content).unwrap();
    let roses = said(&"the roses are out".into());
    assert_eq!(roses["id"], id.trim());
    assert_eq!((&roses["name"], &roses["from"]["name"]), (&"garden".into(), &"ada".into()));
    assert_eq!(said(&"a letter\nof two lines".into())["direct"], ada.account());
    assert_eq!(said(&json!({"task": "water"}))["own"], false);
    assert_eq!(grace.hears_texts(), Vec::<String>::new());

    let shown = ada.does(&["listen", "--caught-up"]);
    assert!(shown.contains("@grace grace: on my way"), "{shown}");
    let members = ada.does(&["room", "members", "garden"]);
    assert!(members.contains("owner") && members.contains("grace"), "{members}");
    let (hers, ours) = (ada.does(&["contact", "safety", "grace"]), grace.does(&["contact", "safety", "ada"]));
    let number = |shown: &str| shown.lines().nth(3).map(str::to_owned).unwrap();
    assert_eq!(number(&hers), number(&ours));
    assert!(!grace.does(&["room", "list"]).contains("NOT"));
    grace.does(&["room", "leave", "garden"]);
    assert_eq!(grace.does(&["room", "list", "--json"]), "");
}

#[test]
fn a_name_that_is_taken_away_names_nobody_and_can_be_given_again() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = (Person::at(&node.url, "ada"), Person::at(&node.url, "grace"));
    let account = grace.account();
    ada.does(&["contact", "add", "friend", &account]);
    ada.does(&["send", "--to", "friend", "by your name"]);
    let (status, words) = ada.fails(&["contact", "add", "friend", &ada.account()]);
    assert!(status == 2 && words.contains("another one already"), "{words}");

    ada.does(&["contact", "remove", "friend"]);
    assert!(!ada.does(&["contact", "list"]).contains("friend"));
    let (status, words) = ada.fails(&["send", "--to", "friend", "to whom?"]);
    assert!(status == 2 && words.contains("nobody is known as friend"), "{words}");
    let (status, _) = ada.fails(&["contact", "remove", "friend"]);
    assert_eq!(status, 2);
    ada.does(&["send", "--to", &account, "by your id"]);
    assert_eq!(grace.hears_texts(), ["by your name", "by your id"]);
    ada.does(&["contact", "add", "friend", &ada.account()]);
    assert!(ada.does(&["contact", "list"]).contains("friend"));
}

#[test]
fn history_is_what_the_device_keeps_oldest_first_and_takes_nothing_from_who_listens() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    let id = ada.does(&["send", "--room", "garden", "one"]);
    ada.does(&["send", "--room", "garden", "two"]);
    let listed = grace.hears(&["--room", "garden"]);
    let told: Vec<_> = listed.into_iter().filter(|event| event["type"] == "message").collect();
    grace.does(&["send", "--room", "garden", "three"]);
    grace.does(&["send", "--to", "ada", "a letter"]);

    let lines = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let shown = grace.does(&[&["history", "--json"], arguments].concat());
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = lines(&["garden"]);
    assert_eq!(all[..2], told);
    assert_eq!((&all[0]["id"], &all[2]["content"], &all[2]["own"]), (&id.trim().into(), &"three".into(), &true.into()));
    assert_eq!(lines(&["garden", "--limit", "2"]), all[1..]);
    let letters = lines(&["--to", "ada"]);
    assert_eq!((letters.len(), &letters[0]["content"]), (1, &"a letter".into()));
    // The names that grace has given are messages to herself, and are not shown.
    assert_eq!(lines(&["--to", &grace.account()]), Vec::<serde_json::Value>::new());
    let shown = grace.does(&["history", "garden"]);
    assert!(shown.lines().next().unwrap().ends_with("garden ada: one"), "{shown}");
    let (status, words) = grace.fails(&["history", "nowhere"]);
    assert!(status == 2 && words.contains("no room is known as nowhere"), "{words}");

    ada.does(&["send", "--to", &grace.account(), "unheard"]);
    grace.does(&["history", "--to", "ada"]);
    assert_eq!(grace.hears_texts(), ["unheard"]);
    drop(node);
    assert_eq!(lines(&["garden"]), all);
    assert_eq!(lines(&["--to", "ada"]).len(), 2);
}

#[test]
fn a_listener_ends_when_it_has_heard_what_it_was_to_hear() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    let listener = grace.command(&["listen", "--json", "--room", "garden", "--count", "2", "--read"]);
    let listener = { listener }.stdout(Stdio::piped()).spawn().unwrap();
    ada.does(&["send", "--room", "garden", "one"]);
    let last = ada.does(&["send", "--room", "garden", "two"]);
    let output = listener.wait_with_output().unwrap();
    assert!(output.status.success());
    let heard = String::from_utf8(output.stdout).unwrap();
    assert!(heard.find("\"one\"").unwrap() < heard.find("\"two\"").unwrap(), "{heard}");
    // The receipt of the last went before the listener ended.
    let told = ada.hears(&[]);
    let is_read = |event: &Value| event["state"] == "read" && event["of"] == json!([last.trim()]);
    assert!(told.iter().any(is_read), "{told:?}");
}

#[test]
fn an_account_comes_back_by_its_kit_and_a_lost_device_is_revoked() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    let kit = ada.path("kit");
    ada.does(&["backup", "create", &kit]);
    let (status, words) = ada.fails(&["backup", "create", &kit]);
    assert!(status == 1 && words.contains("exists"), "{words}");

    let found = Person::new();
    let (status, words) = found.fails(&["login", "--url", &node.url, "--name", "ada"]);
    assert!(status == 1 && words.contains("--recover"), "{words}");
    found.does(&["backup", "restore", &kit, "--url", &node.url, "--name", "ada"]);
    assert_eq!(found.account(), ada.account());
    let devices = found.does(&["devices"]);
    assert_eq!(devices.lines().count(), 2, "{devices}");

    let lost = devices.lines().find(|line| !line.contains("this one")).unwrap();
    let lost = lost.split_whitespace().next().unwrap();
    found.does(&["devices", "revoke", lost]);
    assert_eq!(found.does(&["devices", "list"]).lines().count(), 1);
    let (status, _) = ada.fails(&["send", "--to", "grace", "who am I?"]);
    assert_eq!(status, 3);
    grace.does(&["send", "--to", "ada", "to the new one"]);
    assert_eq!(found.hears_texts(), ["to the new one"]);
}

/// What a new account has is kept before the node hears of it, and the kit is owed from then on.
#[tokio::test]
async fn a_kit_that_was_not_handed_over_comes_with_the_next_login_and_once() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let mut is_lost = false;
    proxy.answers(move |asks, answer| {
        if asks == "PUT /api/devices" && !core::mem::replace(&mut is_lost, true) {
            answer.lose();
        }
    });
    let url = proxy.url.clone();
    spawn_blocking(move || is_broken_off_and_gets_its_kit(&url)).await.unwrap();
}

fn is_broken_off_and_gets_its_kit(url: &str) {
    let ada = Person::new();
    let kit = ada.path("kit");
    let login = ["login", "--url", url, "--name", "ada", "--kit", &kit];
    let (status, words) = ada.fails(&login);
    assert!(status == 4 && !Path::new(&kit).exists(), "{words}");
    let reminder = "conclave backup create";
    assert!(said_beside(&ada, &["whoami"]).contains(reminder));

    assert!(ada.does(&login).contains("The recovery kit is in"));
    assert!(!said_beside(&ada, &["whoami"]).contains(reminder));
    assert!(!ada.does(&["login", "--name", "ada"]).contains("recovery kit"));
    let found = Person::new();
    found.does(&["login", "--recover", &kit, "--url", url, "--name", "ada"]);
    assert_eq!(found.account(), ada.account());
    assert!(!said_beside(&found, &["whoami"]).contains(reminder));
}

/// What a command that succeeds writes to standard error.
fn said_beside(person: &Person, command: &[&str]) -> String {
    let output = person.output(command);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_place_that_cannot_take_the_kit_is_said_before_the_account_is_made() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::new();
    let (taken, nowhere) = (ada.write("taken", "something"), ada.path("no/folder/kit"));
    for (place, reason) in [(&taken, "already exists"), (&nowhere, "not found")] {
        let (status, words) = ada.fails(&["login", "--url", &node.url, "--name", "ada", "--kit", place]);
        assert!(status == 1 && words.contains(place) && words.contains(reason), "{words}");
        assert_eq!(ada.fails(&["whoami"]).0, 3);
    }
    let shown = ada.does(&["login", "--url", &node.url, "--name", "ada"]);
    assert!(shown.contains("conclave recovery kit, version 1"), "{shown}");
}

#[test]
fn a_second_device_is_linked_and_reads_what_is_written_from_then_on() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    let tablet = Person::new();
    let mut waiting = tablet.command(&["devices", "link", "--url", &node.url, "--name", "ada"]);
    let mut waiting = waiting.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    let code = shown.find_map(|line| Some(line.split_once("approve ")?.1.to_owned())).unwrap();
    ada.does(&["devices", "approve", &code]);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(tablet.account(), ada.account());
    // Its rooms are open at once.
    let room: serde_json::Value = serde_json::from_str(&tablet.does(&["room", "list", "--json"])).unwrap();
    assert_eq!(room["has_key"], true);
    tablet.does(&["send", "--room", room["room"].as_str().unwrap(), "from the tablet"]);
    assert_eq!(grace.hears_texts(), ["from the tablet"]);
    assert_eq!(ada.hears_texts(), ["from the tablet"]);
    grace.does(&["send", "--to", "ada", "to both"]);
    assert_eq!((ada.hears_texts(), tablet.hears_texts()), (vec!["to both".to_owned()], vec!["to both".to_owned()]));
    let (status, _) = tablet.fails(&["backup", "create"]);
    assert_eq!(status, 1);
}

#[test]
fn an_agent_listens_and_sends_in_one_program() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    let mut agent = grace.command(&["listen", "--json", "--input", "--count", "1"]);
    let mut agent = agent.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut requests = agent.stdin.take().unwrap();
    writeln!(requests, "{{\"send\": {{\"done\": 7}}, \"room\": \"garden\", \"ref\": \"a\"}}\nnonsense").unwrap();
    let lines = BufReader::new(agent.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let kept = lines.find(|line| line["type"] == "kept").unwrap();
    assert_eq!(kept["ref"], "a");
    assert!(lines.any(|line| line["type"] == "error"));
    assert!(lines.any(|line| line["type"] == "sent" && line["id"] == kept["id"]));
    ada.does(&["send", "--to", "grace", "thank you"]);
    assert!(lines.any(|line| line["content"] == "thank you"));
    assert!(agent.wait().unwrap().success());
    assert!(ada.hears(&[]).iter().any(|line| line["content"]["done"] == 7));
}
