#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::state::{Alert, Connection, View};
use super::*;
use crate::client::{Content, Message, Receipt};
use crate::ids::{DeviceAddress, DeviceId, RoomId};
use crate::wire::{Custody, ErrorCode, Log, Presence, Timestamp, TypingState};

const ADA: AccountId = AccountId::from_bytes([1; 16]);
const GRACE: AccountId = AccountId::from_bytes([2; 16]);
const JOAN: AccountId = AccountId::from_bytes([4; 16]);
const GARDEN: RoomId = RoomId::from_bytes([9; 16]);
const HERE: Conversation = Conversation::Room(GARDEN);

/// 2026-11-22, 09:40 UTC.
const MORNING: Timestamp = Timestamp::from_millis(1_795_340_400_000);

fn minutes(n: u64) -> Timestamp {
    MORNING.plus(Duration::from_secs(60 * n))
}

/// Times as they are in UTC, on whatever machine the tests run.
const TIMES: Times = Times {
    day: |at| if at < MORNING { "2026-11-21".to_owned() } else { "2026-11-22".to_owned() },
    time_of_day: |at| {
        let minutes = at.as_millis() / 60_000;
        format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
    },
};

fn names() -> Names {
    let mut names = Names::default();
    for (name, account) in [("ada", ADA), ("grace", GRACE)] {
        names.learn(&Content::from(json!({"conclave": {"name": name, "account": account}})));
    }
    names.learn(&Content::from(json!({"conclave": {"name": "garden", "room": GARDEN}})));
    names
}

fn message(number: u8, writer: AccountId, at: Timestamp, text: &str) -> Message {
    Message {
        number: number.into(),
        id: MessageId::from_bytes([number; 16]),
        conversation: HERE,
        sender: DeviceAddress { account_id: writer, device_id: DeviceId::from_bytes([1; 16]) },
        sent_at: at,
        content: text.into(),
        is_sent: true,
        refused: None,
        receipts: BTreeMap::new(),
    }
}

fn arrives(message: Message) -> Event {
    Event::Message(Box::new(message))
}

/// A room with two others, connected and level.
fn chat() -> Chat {
    let mut chat = Chat::new((ADA, names()), (HERE, RoomPolicy::default()), [ADA, GRACE, JOAN]);
    chat.recall(&[message(1, GRACE, Timestamp::from_millis(0), "are you there?")]);
    chat.apply(&Event::Connected);
    chat.apply(&Event::CaughtUp { log: Log::Room(GARDEN) });
    chat.apply(&Event::Presence { room: GARDEN, account: GRACE, state: Presence::Online });
    chat
}

fn press(chat: &mut Chat, code: KeyCode) -> Option<Deed> {
    chat.key(KeyEvent::new(code, KeyModifiers::NONE), MORNING)
}

/// Types a text and sends it; the number of its draft.
fn say(chat: &mut Chat, text: &str) -> u64 {
    chat.paste(text, MORNING);
    match press(chat, KeyCode::Enter) {
        Some(Deed::Send { draft, text: sent }) if sent == text => draft,
        other => panic!("{other:?}"),
    }
}

fn screen(chat: &Chat, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw::draw(chat, TIMES, frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_conversation_is_drawn_with_names_times_days_and_members() {
    let mut chat = chat();
    chat.apply(&arrives(message(2, GRACE, minutes(1), "good morning! the first roses are out, and the pond is full")));
    chat.apply(&arrives(message(3, JOAN, minutes(2), "grüße 你好")));
    let draft = say(&mut chat, "what a day");
    chat.kept(draft, Ok(MessageId::from_bytes([4; 16])));
    chat.apply(&Event::Sent { conversation: HERE, id: MessageId::from_bytes([4; 16]) });
    chat.apply(&Event::Typing { room: GARDEN, account: GRACE, state: TypingState::Started });
    chat.paste("see you at", MORNING);
    insta::assert_snapshot!(screen(&chat, 90, 16));
}

#[test]
fn somebody_without_a_name_is_given_one_by_a_line_that_is_no_message() {
    let mut chat = chat();
    chat.suggest_name();
    assert!(screen(&chat, 80, 12).contains("To call BAQEBAQE… by a name: /name BAQEBAQE NAME"));
    chat.paste("/name BAQEBAQE joan", MORNING);
    assert_eq!(press(&mut chat, KeyCode::Enter), Some(Deed::Name(JOAN, "joan".to_owned())));
    chat.paste("/name nobody x", MORNING);
    assert_eq!(press(&mut chat, KeyCode::Enter), None);
    assert!(screen(&chat, 80, 12).contains("Nobody else here is shown as nobody"));
}

#[test]
fn somebody_whom_no_member_has_let_in_is_told_of_and_not_listed() {
    let mut chat = chat();
    let told = |chat: &Chat| {
        let screen = screen(chat, 110, 12);
        (screen.contains("THE NODE SHOWS BAQEBAQE… HERE: no member has let them in"), screen.contains("Members 3"))
    };
    assert_eq!(told(&chat), (false, true));
    chat.apply(&Event::MemberRefused {
        room: RoomId::from_bytes([8; 16]),
        account: JOAN,
        reason: ErrorCode::NotVouched,
    });
    assert_eq!(told(&chat), (false, true));
    chat.apply(&Event::MemberRefused { room: GARDEN, account: JOAN, reason: ErrorCode::NotVouched });
    assert_eq!(told(&chat), (true, false));
}

#[test]
fn a_narrow_terminal_leaves_the_members_out_and_still_says_who_can_read() {
    let mut chat = chat();
    say(&mut chat, "a text that is longer than such a narrow line and therefore breaks");
    insta::assert_snapshot!(screen(&chat, 44, 12));
}

#[test]
fn a_terminal_of_any_size_is_drawn_without_panic() {
    let mut chat = chat();
    say(&mut chat, "hello 你好");
    chat.apply(&Event::IdentityChanged { account: GRACE });
    for columns in 1..70 {
        for rows in [1, 2, 3, 5, 9, 30] {
            screen(&chat, columns, rows);
        }
    }
}

#[test]
fn marks_go_from_waiting_to_read_and_never_back() {
    let mut chat = chat();
    let id = MessageId::from_bytes([7; 16]);
    let draft = say(&mut chat, "hello");
    assert!(screen(&chat, 80, 10).contains("… waiting"));
    // The node may be faster than the answer which says what id it has.
    chat.apply(&Event::Sent { conversation: HERE, id });
    chat.kept(draft, Ok(id));
    assert!(screen(&chat, 80, 10).contains("✓ on the node"));
    let receipt = |by, state| Event::Receipt { conversation: HERE, by, of: vec![id], state };
    chat.apply(&receipt(GRACE, Receipt::Delivered));
    assert!(screen(&chat, 80, 10).contains("✓✓ delivered 1/2"));
    chat.apply(&receipt(GRACE, Receipt::Read));
    assert!(screen(&chat, 80, 10).contains("✓✓ read 1/2"));
    chat.apply(&receipt(GRACE, Receipt::Delivered));
    chat.apply(&receipt(JOAN, Receipt::Read));
    let drawn = screen(&chat, 80, 10);
    assert!(drawn.contains("✓✓ read │"), "{drawn}");
}

#[test]
fn a_message_that_is_refused_says_so() {
    let mut chat = chat();
    let draft = say(&mut chat, "hello");
    chat.kept(draft, Err("too much waits to be sent".to_owned()));
    let drawn = screen(&chat, 80, 10);
    assert!(drawn.contains("✗ not sent") && drawn.contains("too much waits to be sent"), "{drawn}");
    let (draft, id) = (say(&mut chat, "again"), MessageId::from_bytes([7; 16]));
    chat.kept(draft, Ok(id));
    chat.apply(&Event::NotSent { conversation: HERE, id: Some(id), reason: ErrorCode::RoomClosed });
    assert!(screen(&chat, 80, 12).contains("room_closed"));
}

#[test]
fn what_was_missed_stands_below_a_line_until_the_user_answers() {
    let mut chat = Chat::new((ADA, names()), (HERE, RoomPolicy::default()), [GRACE]);
    chat.recall(&[message(1, GRACE, minutes(0), "seen"), message(2, GRACE, minutes(1), "kept, and not seen")]);
    let read = chat.apply(&arrives(message(2, GRACE, minutes(1), "kept, and not seen")));
    assert_eq!(read, Some(Deed::MarkRead(GRACE, MessageId::from_bytes([2; 16]))));
    chat.apply(&arrives(message(3, GRACE, minutes(2), "came while away")));
    chat.apply(&Event::CaughtUp { log: Log::Room(GARDEN) });
    chat.apply(&arrives(message(4, GRACE, minutes(3), "just now")));
    let drawn = screen(&chat, 60, 14);
    let place = |text: &str| drawn.find(text).unwrap_or_else(|| panic!("{text} is not in {drawn}"));
    assert!(place("grace  seen") < place("─ new ─"));
    assert!(place("─ new ─") < place("kept, and not seen"));
    assert_eq!(drawn.matches("kept, and not seen").count(), 1);
    assert_eq!(drawn.matches("─ new ─").count(), 1);
    say(&mut chat, "here I am");
    assert!(!screen(&chat, 60, 14).contains("─ new ─"));
}

#[test]
fn an_identity_that_changed_stops_sending_until_it_is_accepted() {
    let mut chat = chat();
    chat.apply(&Event::IdentityChanged { account: GRACE });
    chat.paste("a secret", MORNING);
    assert_eq!(press(&mut chat, KeyCode::Enter), None);
    assert!(screen(&chat, 80, 10).contains("The identity of grace has changed"));
    assert_eq!(press(&mut chat, KeyCode::F(2)), Some(Deed::ComputeSafety));
    let root_key = crate::protocol::secret::SigningSecretKey::from_seed(&[5; 32]).public_key();
    let numbers =
        |changed| vec![Safety { account: GRACE, number: Some("12345 ".repeat(12).trim().to_owned()), changed }];
    let other = "54321 ".repeat(12).trim().to_owned();
    chat.computed(numbers(Some((root_key.clone(), other))));
    insta::assert_snapshot!(screen(&chat, 80, 24));
    assert_eq!(chat.alert, Some(Alert::Identity(GRACE)));
    assert_eq!(press(&mut chat, KeyCode::Char('a')), Some(Deed::Accept(GRACE, root_key)));
    chat.computed(numbers(None));
    assert_eq!(press(&mut chat, KeyCode::Char('a')), None);
    assert_eq!((&chat.alert, &chat.view), (&None, &View::Talk));
    assert!(matches!(press(&mut chat, KeyCode::Enter), Some(Deed::Send { .. })));
}

#[test]
fn a_room_whose_keys_the_node_holds_is_shown_as_one_that_it_can_read() {
    let policy = RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() };
    let chat = Chat::new((ADA, names()), (HERE, policy), [GRACE]);
    for columns in [44, 90] {
        let drawn = screen(&chat, columns, 10);
        assert!(drawn.contains("THE NODE CAN READ THIS") && !drawn.contains("end-to-end"), "{drawn}");
    }
}

#[test]
fn a_policy_that_the_node_shows_otherwise_stops_sending() {
    let mut chat = chat();
    let (pinned, shown) = (RoomPolicy::default(), RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() });
    chat.apply(&Event::PolicyChanged { room: GARDEN, pinned, shown });
    chat.paste("a secret", MORNING);
    assert_eq!(press(&mut chat, KeyCode::Enter), None);
    assert!(screen(&chat, 80, 10).contains("another policy"));
}

#[test]
fn scrolling_shows_what_was_before_and_what_comes_does_not_move_it_unseen() {
    let mut chat = chat();
    for n in 2..60 {
        chat.apply(&arrives(message(n, GRACE, minutes(n.into()), &format!("number {n}"))));
    }
    assert!(screen(&chat, 80, 20).contains("number 59"));
    press(&mut chat, KeyCode::PageUp);
    press(&mut chat, KeyCode::PageUp);
    let drawn = screen(&chat, 80, 20);
    assert!(!drawn.contains("number 59") && drawn.contains("number 35") && drawn.contains("more below"), "{drawn}");
    chat.apply(&arrives(message(60, GRACE, minutes(60), "number 60")));
    assert!(screen(&chat, 80, 20).contains("new messages below"));
    press(&mut chat, KeyCode::Esc);
    assert!(screen(&chat, 80, 20).contains("number 60"));
}

#[test]
fn others_are_told_of_typing_once_in_a_while_and_when_it_stops() {
    let mut chat = chat();
    let started = Some(Deed::Typing(TypingState::Started));
    assert_eq!(press(&mut chat, KeyCode::Char('a')), started);
    assert_eq!(press(&mut chat, KeyCode::Char('b')), None);
    let later = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::NONE);
    assert_eq!(chat.key(later, minutes(1)), started);
    assert_eq!(chat.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL), minutes(1)), {
        Some(Deed::Typing(TypingState::Stopped))
    });
}

#[test]
fn what_comes_elsewhere_is_counted_and_not_shown() {
    let mut chat = chat();
    let elsewhere =
        Message { conversation: Conversation::Direct(GRACE), ..message(5, GRACE, minutes(1), "in private") };
    assert_eq!(chat.apply(&arrives(elsewhere.clone())), None);
    chat.apply(&arrives(elsewhere));
    let drawn = screen(&chat, 80, 12);
    assert!(drawn.contains("@grace 2") && !drawn.contains("in private"), "{drawn}");
}

#[test]
fn a_lost_connection_is_said_and_nobody_is_shown_as_present() {
    let mut chat = chat();
    chat.apply(&Event::Disconnected { retry_in: None });
    assert_eq!(chat.connection, Connection::Lost);
    let drawn = screen(&chat, 80, 12);
    assert!(drawn.contains("not connected") && drawn.contains("○ grace"), "{drawn}");
    assert!(matches!(chat.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), MORNING), Some(Deed::Quit)));
}

#[test]
fn a_message_cannot_draw_outside_its_lines() {
    let mut chat = chat();
    chat.apply(&arrives(message(5, JOAN, minutes(1), "\u{1b}[2J\r\u{7}\u{202e}x\n  09:41  ada  I agree")));
    let drawn = screen(&chat, 80, 12);
    assert!(!drawn.contains('\u{1b}') && !drawn.contains('\u{202e}'));
    // A forged line stands where texts stand, not where names do.
    let line = drawn.lines().find(|line| line.contains("I agree")).unwrap();
    assert!(line.starts_with(&format!("\"{}", " ".repeat(15))), "{line:?}");
}

#[test]
fn the_keys_are_shown_on_one() {
    let mut chat = chat();
    press(&mut chat, KeyCode::F(1));
    insta::assert_snapshot!(screen(&chat, 80, 24));
    press(&mut chat, KeyCode::Char(' '));
    assert_eq!(chat.view, View::Talk);
}
