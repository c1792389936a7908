//! Who is in a room, and its keys.

use conclave::ids::AccountId;
use conclave::protocol::session::PairwiseMessage;
use tokio::task::spawn_blocking;

use super::people::in_a_garden;
use super::person::Person;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;

#[test]
fn who_is_removed_from_a_room_hears_no_more_and_says_no_more_there() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = in_a_garden(&node.url);
    let joan = Person::at(&node.url, "joan");
    let invitation = ada.does(&["room", "invite", "garden"]);
    let words: Vec<&str> = invitation.split_whitespace().skip(1).collect();
    joan.does(&words);
    ada.does(&["send", "--room", "garden", "for both"]);
    assert_eq!(grace.hears_texts(), ["for both"]);
    let (status, words) = joan.fails(&["room", "remove", "garden", &ada.account()]);
    assert!(status == 1 && words.contains("your role in the room does not allow it"), "{words}");

    ada.does(&["room", "remove", "garden", "grace"]);
    assert!(!ada.does(&["room", "members", "garden"]).contains("grace"));
    ada.does(&["send", "--room", "garden", "for one"]);
    assert_eq!(grace.hears_texts(), Vec::<String>::new());
    let (status, words) = grace.fails(&["send", "--room", "garden", "let me in"]);
    assert!(status == 1 && words.contains("the room was not joined"), "{status}: {words}");
    assert_eq!(grace.does(&["room", "list", "--json"]), "");
    assert_eq!(joan.hears_texts(), ["for both", "for one"]);
    assert_eq!(ada.hears_texts(), Vec::<String>::new());
}

/// A message that begins a session carries its opening.
#[tokio::test]
async fn new_keys_of_a_room_carry_what_is_said_from_then_on() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    spawn_blocking(move || takes_new_keys(&proxy)).await.unwrap();
}

fn takes_new_keys(proxy: &Proxy) {
    let (ada, grace) = in_a_garden(&proxy.url);
    let reader: AccountId = grace.account().parse().unwrap();
    let begins_anew = |text: &str| {
        let before = proxy.envelopes().len();
        ada.does(&["send", "--room", "garden", text]);
        assert_eq!(grace.hears_texts(), [text]);
        let sent = proxy.envelopes().split_off(before);
        let mut sent = sent.iter().filter(|envelope| envelope.recipient.is_some_and(|to| to.account_id == reader));
        sent.any(|envelope| PairwiseMessage::parse(&envelope.payload.0).unwrap().opening.is_some())
    };
    assert!(begins_anew("the first"));
    grace.does(&["send", "--room", "garden", "heard"]);
    assert_eq!(ada.hears_texts(), ["heard"]);
    assert!(!begins_anew("under the same keys"));
    ada.does(&["room", "rotate", "garden"]);
    assert!(begins_anew("under new ones"));
    grace.does(&["send", "--room", "garden", "heard too"]);
    assert_eq!(ada.hears_texts(), ["heard too"]);
}
