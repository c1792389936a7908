//! What a program writes to `conclave listen --input`: one JSON object a line.

use std::io::{BufRead, stdin};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::cli::names::Names;
use crate::client::{Client, Content, Conversation};
use crate::ids::MessageId;

/// A line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    send: Content,
    #[serde(default)]
    room: Option<String>,
    #[serde(default)]
    to: Option<String>,
    /// Comes back with the answer.
    #[serde(default, rename = "ref")]
    reference: Value,
}

/// The lines of standard input, one by one; none after its end.
pub(super) fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    // It may wait for a line for ever: the program ends without it.
    spawn_blocking(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Does what a line asks for, and answers it.
pub(super) async fn answer(line: &str, client: &Client, names: &Names) -> String {
    let request: Result<Request, _> = serde_json::from_str(line);
    let (reference, kept) = match request {
        Ok(request) => (request.reference.clone(), send(request, client, names).await),
        Err(error) => (Value::Null, Err(error.to_string())),
    };
    let answer = match kept {
        Ok(id) => json!({"type": "kept", "id": id, "ref": reference}),
        Err(reason) => json!({"type": "error", "reason": reason, "ref": reference}),
    };
    answer.to_string()
}

async fn send(request: Request, client: &Client, names: &Names) -> Result<MessageId, String> {
    let conversation = match (&request.room, &request.to) {
        (Some(room), None) => names.room(room).map(Conversation::Room),
        (None, Some(user)) => names.account(user).map(Conversation::Direct),
        _ => return Err("one of `room` and `to` says where it goes".to_owned()),
    };
    let conversation = conversation.map_err(|error| error.to_string())?;
    client.send(conversation, request.send).await.map_err(|error| error.to_string())
}

/// Lines that wait to be sent; more are left where they are.
const LINES_MAX: usize = 16;
