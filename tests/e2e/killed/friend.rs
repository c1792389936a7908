//! Somebody who never dies, comes where they are asked to, and answers.

use std::sync::{Arc, Mutex};

use conclave::client::{Client, Conversation, Event};
use tokio::task::JoinHandle;

use super::Orders;
use crate::user::User;

pub(super) struct Friend {
    pub(super) client: Client,
    heard: Arc<Mutex<Vec<String>>>,
    answering: JoinHandle<()>,
}

impl Friend {
    pub(super) async fn new(url: &str, name: &str) -> Self {
        let User { client, mut events } = User::new(url, name).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (own, list) = (client.clone(), Arc::clone(&heard));
        let answering = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let Event::Message(message) = event else { continue };
                let text = message.content.text().unwrap();
                list.lock().unwrap().push(text.to_owned());
                answer(&own, message.conversation, text).await;
            }
        });
        Self { client, heard, answering }
    }

    /// These words of a round were heard in this order, each once, and no others.
    #[track_caller]
    pub(super) fn has_heard(&self, orders: &Orders, words: &[&str]) {
        let end = format!(" {}", orders.round);
        let heard: Vec<String> =
            self.heard.lock().unwrap().iter().filter(|text| text.ends_with(&end)).cloned().collect();
        let expected: Vec<String> = words.iter().map(|word| format!("{word}{end}")).collect();
        assert_eq!(heard, expected, "{orders:?}");
    }

    /// How often something was heard that begins so.
    pub(super) fn count(&self, begin: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|text| text.starts_with(begin)).count()
    }
}

impl Drop for Friend {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn answer(own: &Client, place: Conversation, text: &str) {
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["join", _, code] => drop(own.join(code).await.unwrap()),
        ["opened" | "hello" | "anew" | "over", _] => drop(own.send(place, format!("read {text}")).await.unwrap()),
        _ => {}
    }
}
