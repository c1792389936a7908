//! `conclave chat`, on a terminal.

use conclave::wire::{Custody, RoomPolicy};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::people::in_a_garden;
use super::person::Person;
use super::terminal::Terminal;
use crate::evil::policies::show;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::receipts::forget_devices;

#[test]
fn two_people_talk_in_a_chat_and_the_terminal_is_left_as_it_was() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    let number = safety_number(&grace, "ada");
    let mut terminal = Terminal::run(&ada.command(&["chat", "garden"]));
    terminal.shows("write a message");
    terminal.hides("connecting");
    assert!(terminal.screen().is_alternate());

    terminal.types("the roses are out\r");
    terminal.shows("ada  the roses are out");
    let heard = grace.does(&["listen", "--json", "--room", "garden", "--count", "1", "--read"]);
    let heard = heard.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!({ heard }.any(|event| event["content"] == "the roses are out"));
    terminal.shows("✓✓ read");
    grace.does(&["send", "--room", "garden", "so are the tulips"]);
    terminal.shows("grace  so are the tulips");

    terminal.types(F1);
    terminal.shows("leaves; messages wait for you");
    terminal.hides("tulips");
    terminal.types(" ");
    terminal.shows("tulips");
    terminal.types(F2);
    for row in &number {
        terminal.shows(row);
    }
    terminal.types(CTRL_C);
    let (status, screen) = terminal.ends();
    assert_eq!(status, Some(0));
    assert!(screen.is_as_new() && screen.text().trim().is_empty(), "{}", screen.text());

    let kept = ada.does(&["history", "garden"]);
    let ends: Vec<bool> = kept.lines().zip(["roses are out", "the tulips"]).map(|(a, b)| a.ends_with(b)).collect();
    assert_eq!(ends, [true, true], "{kept}");
    assert!(grace.hears(&[]).iter().any(|event| event["state"] == "read"));
}

#[test]
fn a_chat_sends_nothing_to_a_changed_identity_until_it_is_accepted_there() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    ada.does(&["send", "--to", "grace", "hi"]);
    let (known, account) = (safety_number(&ada, "grace"), grace.account());
    forget_devices(folder.path(), account.parse().unwrap());
    let anew = Person::at(&node.url, "grace");
    assert_eq!(anew.account(), account);
    anew.does(&["send", "--to", &ada.account(), "it is me"]);
    // Another command is told of it before the chat begins.
    let changed = safety_number(&anew, &ada.account());
    assert_ne!(known, changed);

    let mut terminal = Terminal::run(&ada.command(&["chat", "--to", "grace"]));
    terminal.shows("The identity of grace has changed: nothing is sent.");
    terminal.types("a secret\r");
    terminal.shows("> a secret");
    terminal.types(F2);
    for row in known.iter().chain(&changed) {
        terminal.shows(row);
    }
    assert!(terminal.screen().text().contains("> a secret"));
    terminal.types("a");
    terminal.hides("has changed");
    // Half of the digits are ada's own: the rows beside the middle may stay.
    terminal.hides(&known[1]);
    terminal.shows(&changed[1]);
    terminal.types(" \r");
    terminal.shows("ada  a secret");
    terminal.shows("on the node");
    terminal.types("/quit\r");
    assert_eq!(terminal.ends().0, Some(0));
    assert_eq!(anew.hears_texts(), ["a secret"]);
}

/// The lie is over when the chat begins: what was seen of it stands.
#[tokio::test]
async fn a_chat_sends_nothing_into_a_room_that_was_shown_with_another_policy_before_it_began() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let url = proxy.url.clone();
    let (ada, grace) = spawn_blocking(move || in_a_garden(&url)).await.unwrap();

    proxy.answers(show(RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() }));
    let (told, ada) = spawn_blocking(move || (ada.hears(&[]), ada)).await.unwrap();
    assert!(told.iter().any(|event| event["type"] == "policy_changed"), "{told:?}");
    proxy.answers(|_, _| ());
    spawn_blocking(move || is_warned_in_a_chat(&ada, &grace)).await.unwrap();
}

fn is_warned_in_a_chat(ada: &Person, grace: &Person) {
    let mut terminal = Terminal::run(&ada.command(&["chat", "garden"]));
    terminal.shows("The node shows another policy of this room: nothing is sent here.");
    terminal.hides("connecting");
    terminal.types("a secret\r");
    terminal.types(" of mine");
    terminal.shows("> a secret of mine");
    terminal.shows("The node shows another policy of this room: nothing is sent here.");
    terminal.types(CTRL_C);
    assert_eq!(terminal.ends().0, Some(0));
    assert_eq!(ada.does(&["history", "garden"]), "");
    assert_eq!(grace.hears_texts(), Vec::<String>::new());
}

/// Its rows of digits.
fn safety_number(person: &Person, with: &str) -> Vec<String> {
    let shown = person.does(&["contact", "safety", with]);
    let is_digits = |row: &&str| row.starts_with(|c: char| c.is_ascii_digit());
    let rows: Vec<String> = shown.lines().map(str::trim).filter(is_digits).map(str::to_owned).collect();
    assert_eq!(rows.len(), 3, "{shown}");
    rows
}

/// As terminals send them.
const F1: &str = "\x1bOP";
const F2: &str = "\x1bOQ";
const CTRL_C: &str = "\x03";
