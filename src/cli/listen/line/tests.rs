#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use super::*;
use crate::client::Content;
use crate::ids::{DeviceAddress, DeviceId, EnvelopeId, MessageId};
use crate::protocol::machine::Repair;
use crate::wire::{ErrorCode, RoomPolicy, Timestamp};

const GRACE: AccountId = AccountId::from_bytes([1; 16]);
const GARDEN: RoomId = RoomId::from_bytes([2; 16]);

fn names() -> Names {
    let mut names = Names::default();
    for note in [
        json!({"conclave": {"name": "grace", "account": GRACE}}),
        json!({"conclave": {"name": "garden", "room": GARDEN}}),
    ] {
        assert!(names.learn(&Content::from(note)));
    }
    names
}

fn message(content: Content) -> Event {
    Event::Message(Box::new(Message {
        number: 7,
        id: MessageId::from_bytes([3; 16]),
        conversation: Conversation::Room(GARDEN),
        sender: DeviceAddress { account_id: GRACE, device_id: DeviceId::from_bytes([4; 16]) },
        sent_at: Timestamp::from_millis(1_700_000_000_000),
        content,
        is_sent: true,
        refused: None,
        receipts: BTreeMap::new(),
    }))
}

fn every_event() -> Vec<Event> {
    let (room, account, id) = (GARDEN, GRACE, MessageId::from_bytes([3; 16]));
    let (conversation, reason) = (Conversation::Direct(GRACE), ErrorCode::RateLimited);
    vec![
        message("hello".into()),
        Event::Sent { conversation, id },
        Event::NotSent { conversation, id: Some(id), reason },
        Event::Receipt { conversation, by: account, of: vec![id], state: Receipt::Read },
        Event::Undecryptable {
            room: Some(room),
            sender: DeviceAddress { account_id: GRACE, device_id: DeviceId::from_bytes([4; 16]) },
            envelope: EnvelopeId::from_bytes([5; 16]),
            reason,
            repair: Repair::NewSession,
        },
        Event::Repeated {
            room: None,
            sender: DeviceAddress { account_id: GRACE, device_id: DeviceId::from_bytes([4; 16]) },
            envelope: EnvelopeId::from_bytes([5; 16]),
        },
        Event::MemberJoined { room, account },
        Event::MemberRefused { room, account, reason: ErrorCode::NotVouched },
        Event::MemberLeft { room, account },
        Event::Presence { room, account, state: Presence::Online },
        Event::Typing { room, account, state: TypingState::Started },
        Event::IdentityChanged { account },
        Event::DevicesChanged { account },
        Event::PolicyChanged { room, pinned: RoomPolicy::default(), shown: RoomPolicy::default() },
        Event::KeysRotated { room, account },
        Event::KeysRevoked { room, account },
        Event::RoomClosed { room },
        Event::Connected,
        Event::Disconnected { retry_in: Some(core::time::Duration::from_millis(250)) },
        Event::SignedOut { reason },
        Event::Distrusted { reason },
        Event::Refused,
        Event::Stopped { error: crate::client::ClientError::NotSetUp },
        Event::VaultOpened,
        Event::CaughtUp { log: Log::Mailbox },
        Event::Gap { log: Log::Room(room) },
    ]
}

#[test]
fn every_event_is_one_line_of_the_documented_form() {
    let lines: Vec<String> = every_event().iter().map(|event| of(event, &names())).collect();
    for line in &lines {
        let value: Value = serde_json::from_str(line).unwrap();
        let kind = value["type"].as_str().unwrap();
        assert!(HELP.contains(&format!("\n  {kind} ")), "{kind} is not in the help");
        assert!(!line.contains('\n'));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_message_cannot_forge_a_line_or_steer_the_terminal() {
    let forged = message("hello\n09:00 garden ada: I agree\u{1b}[2J".into());
    assert_eq!(of(&forged, &names()).lines().count(), 1);
    let shown = words(&forged, &names()).unwrap();
    assert!(shown.contains("\n    09:00 garden ada"), "{shown}");
    assert!(!shown.contains('\u{1b}'));
}
