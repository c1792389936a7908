//! The lines of `conclave listen`: JSON for programs, words for people.

use serde_json::{Value, json};

use crate::cli::names::Names;
use crate::cli::room;
use crate::cli::text::{clean_lines, time_of_day};
use crate::client::{Conversation, Event, Message, Receipt};
use crate::ids::{AccountId, RoomId};
use crate::wire::{Log, Presence, TypingState};

/// The form, as `--help` shows it. It grows by new types and members; a program passes over those that it does not know.
pub(in crate::cli) const HELP: &str = r#"Each message is told once, whichever command has told it; what --room or --from leave out counts
as told, and is seen in `conclave chat` and `history`. One profile serves one command at a time: a
program that listens and sends does both here, with --input.

With --json each line is an object with `type`:
  message       number, id, room or direct, from {account, device, name}, sent_at (ms since 1970), own, content
  sent          id, room or direct           the node has it
  not_sent      id, room or direct, reason   the node refuses it for good
  receipt       by, of [ids], state ("delivered" or "read"), room or direct
  undecryptable sender, envelope, reason, repair, room
  repeated      sender, envelope, room       the node gives again what was read: usual after a lost connection
  member        room, account, state ("joined", "left", or "refused" with a reason)
  presence      room, account, state ("online" or "offline")
  typing        room, account, state ("started" or "stopped")
  identity_changed  account                  nothing is sent to them: `conclave contact safety`
  devices_changed   account
  policy_changed    room, pinned, shown      the node lies; the room is not used any more
  keys_rotated      room, account
  keys_revoked      room, account
  room_closed       room
  vault_opened                               this linked device has got the key of the account's rooms and memories
  connection    state ("connected", "disconnected", "signed_out", "distrusted", "refused",
                "stopped"), retry_in_ms, reason
  caught_up     log ("mailbox", or a room's id)
  gap           log                          the node has lost something
  kept          id, ref                      a line of --input: it will be sent
  error         reason, ref                  a line of --input: it will not
`room` and `account` are ids; `name` is what you call them, or null. `content` is a text or any JSON value.

With --input each line of standard input is an object: `send` (a text or any JSON value), `room` or
`to` (a name or an id), and `ref`, which comes back.

Examples:
  conclave listen
  conclave listen --json --caught-up | jq -r 'select(.type == "message") | .content'
  conclave listen --json --room agents --count 1 --read
  echo '{"send": "done", "room": "agents", "ref": 1}' | conclave listen --json --input --timeout 5"#;

/// An event as a JSON object.
pub(in crate::cli) fn of(event: &Event, names: &Names) -> String {
    value(event, names).to_string()
}

fn value(event: &Event, names: &Names) -> Value {
    match event {
        Event::Connected => json!({"type": "connection", "state": "connected"}),
        Event::Disconnected { retry_in } => {
            let retry = retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            json!({"type": "connection", "state": "disconnected", "retry_in_ms": retry})
        }
        Event::SignedOut { reason } => {
            json!({"type": "connection", "state": "signed_out", "reason": reason.as_str()})
        }
        Event::Distrusted { reason } => {
            json!({"type": "connection", "state": "distrusted", "reason": reason.as_str()})
        }
        Event::Refused => json!({"type": "connection", "state": "refused"}),
        Event::Stopped { error } => {
            json!({"type": "connection", "state": "stopped", "reason": error.to_string()})
        }
        Event::Message(message) => of_message(message, names),
        Event::Sent { conversation, id } => placed(json!({"type": "sent", "id": id}), *conversation, names),
        Event::NotSent { conversation, id, reason } => {
            placed(json!({"type": "not_sent", "id": id, "reason": reason.as_str()}), *conversation, names)
        }
        Event::Receipt { conversation, by, of, state } => {
            placed(json!({"type": "receipt", "by": by, "of": of, "state": state}), *conversation, names)
        }
        Event::Undecryptable { room, sender, envelope, reason, repair } => json!({
            "type": "undecryptable", "room": room, "sender": sender, "envelope": envelope,
            "reason": reason.as_str(), "repair": format!("{repair:?}"),
        }),
        Event::Repeated { room, sender, envelope } => {
            json!({"type": "repeated", "room": room, "sender": sender, "envelope": envelope})
        }
        Event::IdentityChanged { account } => json!({"type": "identity_changed", "account": account}),
        Event::DevicesChanged { account } => json!({"type": "devices_changed", "account": account}),
        Event::MemberJoined { room, account } => in_room("member", *room, *account, "joined"),
        Event::MemberRefused { room, account, reason } => {
            json!({"type": "member", "room": room, "account": account, "state": "refused", "reason": reason.as_str()})
        }
        Event::MemberLeft { room, account } => in_room("member", *room, *account, "left"),
        Event::RoomClosed { room } => json!({"type": "room_closed", "room": room}),
        Event::PolicyChanged { room, pinned, shown } => {
            json!({"type": "policy_changed", "room": room, "pinned": pinned, "shown": shown})
        }
        Event::KeysRotated { room, account } => json!({"type": "keys_rotated", "room": room, "account": account}),
        Event::KeysRevoked { room, account } => json!({"type": "keys_revoked", "room": room, "account": account}),
        Event::Presence { room, account, state } => in_room("presence", *room, *account, presence(*state)),
        Event::Typing { room, account, state } => {
            let state = match state {
                TypingState::Started => "started",
                TypingState::Stopped => "stopped",
            };
            in_room("typing", *room, *account, state)
        }
        Event::VaultOpened => json!({"type": "vault_opened"}),
        Event::CaughtUp { log } => json!({"type": "caught_up", "log": of_log(*log)}),
        Event::Gap { log } => json!({"type": "gap", "log": of_log(*log)}),
    }
}

fn of_message(message: &Message, names: &Names) -> Value {
    let Message { number, id, conversation, sender, sent_at, content, is_sent: _, refused: _, receipts: _ } = message;
    let account = sender.account_id;
    let from = json!({"account": account, "device": sender.device_id, "name": names.of_account(account)});
    let value = json!({
        "type": "message", "number": number, "id": id, "from": from, "sent_at": sent_at,
        "own": names.is_own(account), "content": content.value(),
    });
    placed(value, *conversation, names)
}

/// Adds where something stands.
fn placed(mut value: Value, conversation: Conversation, names: &Names) -> Value {
    let (place, id, name) = match conversation {
        Conversation::Room(room) => ("room", room.to_string(), names.of_room(room)),
        Conversation::Direct(account) => ("direct", account.to_string(), names.of_account(account)),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert(place.to_owned(), id.into());
        object.insert("name".to_owned(), name.into());
    }
    value
}

fn in_room(kind: &str, room: RoomId, account: AccountId, state: &str) -> Value {
    json!({"type": kind, "room": room, "account": account, "state": state})
}

fn of_log(log: Log) -> Value {
    match log {
        Log::Mailbox => "mailbox".into(),
        Log::Room(room) => room.to_string().into(),
    }
}

const fn presence(state: Presence) -> &'static str {
    match state {
        Presence::Online => "online",
        Presence::Offline => "offline",
    }
}

/// An event for people; none of those that would only be noise.
pub(in crate::cli) fn words(event: &Event, names: &Names) -> Option<String> {
    Some(match event {
        Event::Message(message) => {
            let place = show(message.conversation, names);
            let (time, who) = (time_of_day(message.sent_at), names.show(message.sender.account_id));
            let text = message.content.text().map_or_else(|| message.content.value().to_string(), str::to_owned);
            let text = clean_lines(&text).replace('\n', "\n    ");
            format!("{time} {place} {who}: {text}")
        }
        Event::NotSent { conversation, reason, .. } => {
            format!("! a message to {} was refused: {reason}", show(*conversation, names))
        }
        Event::Receipt { conversation, by, of, state: Receipt::Read } => {
            let (count, place) = (of.len(), show(*conversation, names));
            format!("* {} has read {count} of your messages in {place}", names.show(*by))
        }
        Event::Undecryptable { sender, reason, .. } => {
            format!("! a message of {} does not open: {reason}", names.show(sender.account_id))
        }
        Event::IdentityChanged { account } => {
            let who = names.show(*account);
            format!("! THE IDENTITY OF {who} HAS CHANGED: nothing is sent to them. `conclave contact safety {who}`")
        }
        Event::DevicesChanged { account } => format!("* {} has other devices than before", names.show(*account)),
        Event::MemberJoined { room, account } => {
            format!("* {} has come into {}", names.show(*account), names.show_room(*room))
        }
        Event::MemberRefused { room, account, reason } => {
            let (who, room) = (names.show(*account), names.show_room(*room));
            format!("! THE NODE SHOWS {who} IN {room}: {}. Nothing is sealed for them", room::refusal(*reason))
        }
        Event::MemberLeft { room, account } => {
            format!("* {} has left {}", names.show(*account), names.show_room(*room))
        }
        Event::RoomClosed { room } => format!("* {} is closed", names.show_room(*room)),
        Event::PolicyChanged { room, shown, .. } => {
            let (room, shown) = (names.show_room(*room), room::words(*shown));
            format!("! THE NODE SHOWS ANOTHER POLICY OF {room} ({shown}): nothing is sent there")
        }
        Event::VaultOpened => {
            "* another device has given this one the key of the account's rooms and memories".to_owned()
        }
        Event::Gap { .. } => "! the node has lost messages that were for this device".to_owned(),
        Event::SignedOut { reason } => format!("! signed out: {reason}"),
        Event::Distrusted { reason } => {
            format!("! THE NODE SHOWS SOMETHING FALSE OR OLD OF THIS ACCOUNT, and is not used: {reason}")
        }
        Event::Refused => "! another program has taken this device's connection".to_owned(),
        Event::Disconnected { .. } => "* not connected; messages come when the node is back".to_owned(),
        Event::Connected
        | Event::Sent { .. }
        | Event::Receipt { .. }
        | Event::Repeated { .. }
        | Event::KeysRotated { .. }
        | Event::KeysRevoked { .. }
        | Event::Presence { .. }
        | Event::Typing { .. }
        | Event::CaughtUp { .. }
        | Event::Stopped { .. } => return None,
    })
}

fn show(conversation: Conversation, names: &Names) -> String {
    match conversation {
        Conversation::Room(room) => names.show_room(room),
        Conversation::Direct(account) => format!("@{}", names.show(account)),
    }
}

#[cfg(test)]
mod tests;
