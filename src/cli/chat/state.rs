//! What a chat shows, and what its keys do. It knows no terminal, no clock and no node.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::command;
use super::input::Input;
use crate::cli::names::Names;
use crate::cli::room;
use crate::cli::text::clean_lines;
use crate::client::{Conversation, Event, Message, Receipt};
use crate::ids::{AccountId, MessageId};
use crate::protocol::machine::Repair;
use crate::protocol::public::SigningPublicKey;
use crate::wire::limits::TYPING_TTL;
use crate::wire::{Log, Presence, RoomPolicy, Timestamp, TypingState};

/// A conversation on the screen.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) own: AccountId,
    pub(super) names: Names,
    pub(super) conversation: Conversation,
    pub(super) policy: RoomPolicy,
    pub(super) entries: Vec<Entry>,
    /// The first entry that the user had not seen.
    pub(super) first_new: Option<usize>,
    /// Everybody else who reads here.
    pub(super) members: BTreeMap<AccountId, Member>,
    pub(super) connection: Connection,
    /// What stands against sending.
    pub(super) alert: Option<Alert>,
    /// Messages that came in other conversations.
    pub(super) elsewhere: BTreeMap<Conversation, usize>,
    pub(super) input: Input,
    pub(super) view: View,
    /// Lines that are scrolled up from the end.
    pub(super) scrolled: usize,
    /// Whether what was missed has been told.
    is_level: bool,
    typing_since: Option<Timestamp>,
    next_draft: u64,
    /// Told as sent before it was known which entry that is.
    sent_early: BTreeSet<MessageId>,
}

/// Something between the first line and the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A message.
    Said(Said),
    /// Something that happened.
    Notice(String),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// None until it is kept.
    pub(super) id: Option<MessageId>,
    pub(super) writer: AccountId,
    pub(super) at: Timestamp,
    pub(super) text: String,
    pub(super) delivery: Delivery,
    draft: Option<u64>,
}

/// How far an own message has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) is_sent: bool,
    pub(super) is_refused: bool,
    pub(super) receipts: BTreeMap<AccountId, Receipt>,
}

/// Somebody else who reads here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) is_online: bool,
    pub(super) is_typing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Connecting,
    Connected,
    Lost,
    SignedOut,
    /// The node shows something false or old of this account.
    Distrusted,
    Refused,
}

/// Why nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alert {
    /// Somebody shows another identity.
    Identity(AccountId),
    /// The node shows another policy of this room.
    Policy(RoomPolicy),
}

/// What fills the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    Talk,
    Help,
    /// Safety numbers; none while they are computed.
    Safety(Option<Vec<Safety>>),
}

/// The safety number with somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Safety {
    pub(super) account: AccountId,
    /// None if they have no device.
    pub(super) number: Option<String>,
    /// The identity that the node shows in place of the known one, and the number that it would have.
    pub(super) changed: Option<(SigningPublicKey, String)>,
}

/// What the program is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Send { draft: u64, text: String },
    Typing(TypingState),
    MarkRead(AccountId, MessageId),
    ComputeSafety,
    Accept(AccountId, SigningPublicKey),
    Name(AccountId, String),
    Quit,
}

impl Chat {
    pub(super) fn new(
        (own, names): (AccountId, Names),
        (conversation, policy): (Conversation, RoomPolicy),
        members: impl IntoIterator<Item = AccountId>,
    ) -> Self {
        let members = members.into_iter().filter(|member| *member != own).map(|member| (member, Member::default()));
        Self {
            own,
            names,
            conversation,
            policy,
            entries: Vec::new(),
            first_new: None,
            members: members.collect(),
            connection: Connection::Connecting,
            alert: None,
            elsewhere: BTreeMap::new(),
            input: Input::default(),
            view: View::Talk,
            scrolled: 0,
            is_level: false,
            typing_since: None,
            next_draft: 0,
            sent_early: BTreeSet::new(),
        }
    }

    /// Takes the messages that were kept before.
    pub(super) fn recall(&mut self, messages: &[Message]) {
        self.entries.extend(messages.iter().map(|message| Entry::Said(Said::of(message))));
    }

    /// Says how somebody here gets a name who has none.
    pub(super) fn suggest_name(&mut self) {
        if let Some(account) = self.members.keys().find(|account| self.names.of_account(**account).is_none()) {
            let (who, prefix) = (self.names.show(*account), command::prefix(*account));
            self.notice(format!("To call {who} by a name: /name {prefix} NAME"));
        }
    }

    /// Takes what the client tells.
    pub(super) fn apply(&mut self, event: &Event) -> Option<Deed> {
        match event {
            Event::Message(message) => return self.arrived(message),
            Event::Connected => self.connection = Connection::Connected,
            Event::Disconnected { .. } => {
                self.connection = Connection::Lost;
                self.members.values_mut().for_each(|member| *member = Member::default());
            }
            Event::SignedOut { .. } => self.connection = Connection::SignedOut,
            Event::Distrusted { .. } => self.connection = Connection::Distrusted,
            Event::Refused | Event::Stopped { .. } => self.connection = Connection::Refused,
            Event::Sent { id, .. } => self.sent(*id),
            Event::NotSent { id: Some(id), reason, .. } => {
                if let Some(said) = self.said(*id) {
                    said.delivery.is_refused = true;
                    self.notice(format!("The node refuses a message: {reason}."));
                }
            }
            Event::Receipt { by, of, state, .. } => self.received(*by, of, *state),
            Event::Undecryptable { sender, reason, repair, .. } if self.members.contains_key(&sender.account_id) => {
                let who = self.names.show(sender.account_id);
                self.notice(match repair {
                    Repair::NewSession | Repair::AskAgain => {
                        format!("A message of {who} does not open; it is asked for again.")
                    }
                    _ => format!("A message of {who} is not shown: {reason}."),
                });
            }
            Event::IdentityChanged { account } if self.members.contains_key(account) => {
                self.alert = Some(Alert::Identity(*account));
            }
            Event::DevicesChanged { account } if self.members.contains_key(account) => {
                let who = self.names.show(*account);
                self.notice(format!("{who} has other devices than before."));
            }
            Event::CaughtUp { log } if *log == self.log() => self.is_level = true,
            Event::Gap { log } if *log == self.log() => {
                self.notice("The node has lost messages that were written here.".to_owned());
            }
            other => self.apply_of_room(other),
        }
        None
    }

    /// Takes what the client tells of the room, beside messages.
    fn apply_of_room(&mut self, event: &Event) {
        match event {
            Event::MemberJoined { room, account } if self.is_here(Conversation::Room(*room)) => {
                self.members.insert(*account, Member::default());
                let who = self.names.show(*account);
                self.notice(format!("{who} has come in. What is written from now on is sealed for them too."));
                self.suggest_name();
            }
            Event::MemberRefused { room, account, reason } if self.is_here(Conversation::Room(*room)) => {
                self.members.remove(account);
                let (who, why) = (self.names.show(*account), room::refusal(*reason));
                self.notice(format!("THE NODE SHOWS {who} HERE: {why}. Nothing is sealed for them."));
            }
            Event::MemberLeft { room, account } if self.is_here(Conversation::Room(*room)) => {
                self.members.remove(account);
                let who = self.names.show(*account);
                self.notice(format!("{who} has left. Nothing is sealed for them any more."));
            }
            Event::RoomClosed { room } if self.is_here(Conversation::Room(*room)) => {
                self.notice("The room is closed: nothing more is sent here.".to_owned());
            }
            Event::PolicyChanged { room, shown, .. } if self.is_here(Conversation::Room(*room)) => {
                self.alert = Some(Alert::Policy(*shown));
            }
            Event::KeysRotated { room, account } if self.is_here(Conversation::Room(*room)) => {
                let who = self.names.show(*account);
                self.notice(format!("{who} has taken new keys."));
            }
            Event::KeysRevoked { room, account } if self.is_here(Conversation::Room(*room)) => {
                let who = self.names.show(*account);
                self.notice(format!("{who} has withdrawn a key."));
            }
            Event::Presence { room, account, state } if self.is_here(Conversation::Room(*room)) => {
                if let Some(member) = self.members.get_mut(account) {
                    let is_online = *state == Presence::Online;
                    *member = Member { is_online, is_typing: member.is_typing && is_online };
                }
            }
            Event::Typing { room, account, state } if self.is_here(Conversation::Room(*room)) => {
                if let Some(member) = self.members.get_mut(account) {
                    member.is_typing = *state == TypingState::Started;
                }
            }
            _ => {}
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, now: Timestamp) -> Option<Deed> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'q') if control => return Some(Deed::Quit),
            KeyCode::Char('d') if control && self.input.text().is_empty() => return Some(Deed::Quit),
            KeyCode::F(1) => self.view = if self.view == View::Help { View::Talk } else { View::Help },
            KeyCode::F(2) => match self.view {
                View::Safety(_) => self.view = View::Talk,
                View::Talk | View::Help => {
                    self.view = View::Safety(None);
                    return Some(Deed::ComputeSafety);
                }
            },
            _ => match &self.view {
                View::Talk => return self.talk(key, now),
                View::Help => self.view = View::Talk,
                View::Safety(numbers) => {
                    let changed = numbers.iter().flatten().find_map(|safety| {
                        safety.changed.as_ref().map(|(root_key, _)| (safety.account, root_key.clone()))
                    });
                    match (key.code, changed) {
                        (KeyCode::Char('a'), Some((account, root_key))) => {
                            return Some(Deed::Accept(account, root_key));
                        }
                        _ => self.view = View::Talk,
                    }
                }
            },
        }
        None
    }

    fn talk(&mut self, key: KeyEvent, now: Timestamp) -> Option<Deed> {
        match key.code {
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_add(PAGE_LINES),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_sub(PAGE_LINES),
            KeyCode::Esc => {
                self.scrolled = 0;
                self.first_new = None;
            }
            KeyCode::Enter if !key.modifiers.contains(KeyModifiers::ALT) => return self.write(now),
            _ => {
                if self.input.key(key) {
                    return self.typing(now);
                }
            }
        }
        None
    }

    /// Takes what was pasted.
    pub(super) fn paste(&mut self, text: &str, now: Timestamp) -> Option<Deed> {
        self.input.insert(text);
        self.typing(now)
    }

    /// Takes what became of a message that was to be sent: its id, or why not.
    pub(super) fn kept(&mut self, draft: u64, kept: Result<MessageId, String>) {
        let said = self.entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Said(said) if said.draft == Some(draft) => Some(said),
            Entry::Said(_) | Entry::Notice(_) => None,
        });
        let Some(said) = said else { return };
        match kept {
            Ok(id) => {
                said.id = Some(id);
                said.delivery.is_sent |= self.sent_early.remove(&id);
            }
            Err(why) => {
                said.delivery.is_refused = true;
                self.notice(format!("Not sent: {why}."));
            }
        }
    }

    /// Takes the safety numbers.
    pub(super) fn computed(&mut self, numbers: Vec<Safety>) {
        if !numbers.iter().any(|safety| safety.changed.is_some()) && matches!(self.alert, Some(Alert::Identity(_))) {
            self.alert = None;
        }
        if let View::Safety(shown) = &mut self.view {
            *shown = Some(numbers);
        }
    }

    /// Says something that happened.
    pub(super) fn notice(&mut self, text: String) {
        self.push(Entry::Notice(text));
    }

    /// Who is writing.
    pub(super) fn typists(&self) -> Vec<String> {
        let typists = self.members.iter().filter(|(_, member)| member.is_typing);
        typists.map(|(account, _)| self.names.show(*account)).collect()
    }

    fn arrived(&mut self, message: &Message) -> Option<Deed> {
        let is_own = message.sender.account_id == self.own;
        if message.conversation == Conversation::Direct(self.own) && self.names.learn(&message.content) {
            return None;
        }
        if !self.is_here(message.conversation) {
            if !is_own {
                *self.elsewhere.entry(message.conversation).or_default() += 1;
            }
            return None;
        }
        let known = self.entries.iter().position(|entry| {
            matches!(entry, Entry::Said(said) if said.id == Some(message.id) && said.writer == message.sender.account_id)
        });
        let at = known.unwrap_or(self.entries.len());
        let is_unseen = !is_own && (!self.is_level || self.scrolled > 0);
        if is_unseen && self.first_new.is_none_or(|first| at < first) {
            self.first_new = Some(at);
        }
        if known.is_none() {
            self.push(Entry::Said(Said::of(message)));
        }
        if let Some(member) = self.members.get_mut(&message.sender.account_id) {
            member.is_typing = false;
        }
        (!is_own).then_some(Deed::MarkRead(message.sender.account_id, message.id))
    }

    fn sent(&mut self, id: MessageId) {
        match self.said(id) {
            Some(said) => said.delivery.is_sent = true,
            None => drop(self.sent_early.insert(id)),
        }
    }

    fn received(&mut self, by: AccountId, of: &[MessageId], state: Receipt) {
        for id in of {
            if let Some(said) = self.said(*id) {
                let before = said.delivery.receipts.entry(by).or_insert(state);
                *before = state.max(*before);
            }
        }
    }

    /// Sends the line, or does what it says.
    fn write(&mut self, now: Timestamp) -> Option<Deed> {
        if let Some(command) = command::parse(self.input.text(), self.members.keys(), &self.names) {
            self.input.take();
            self.typing_since = None;
            return command.unwrap_or_else(|why| {
                self.notice(why);
                None
            });
        }
        if self.input.text().trim().is_empty() || self.alert.is_some() {
            return None;
        }
        let text = self.input.take();
        let draft = self.next_draft;
        self.next_draft += 1;
        (self.typing_since, self.scrolled, self.first_new) = (None, 0, None);
        let shown = clean_lines(&text);
        let (writer, delivery) = (self.own, Delivery::default());
        self.push(Entry::Said(Said { id: None, writer, at: now, text: shown, delivery, draft: Some(draft) }));
        Some(Deed::Send { draft, text })
    }

    /// Says that the user writes, or has stopped; not more often than it takes.
    fn typing(&mut self, now: Timestamp) -> Option<Deed> {
        let Conversation::Room(_) = self.conversation else { return None };
        let is_stale = |since: Timestamp| now.since(since) >= TYPING_TTL / 2;
        match (self.input.text().is_empty(), self.typing_since) {
            (true, Some(_)) => {
                self.typing_since = None;
                Some(Deed::Typing(TypingState::Stopped))
            }
            (false, since) if since.is_none_or(is_stale) => {
                self.typing_since = Some(now);
                Some(Deed::Typing(TypingState::Started))
            }
            _ => None,
        }
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        if self.entries.len() > ENTRIES_MAX {
            self.entries.remove(0);
            self.first_new = self.first_new.map(|first| first.saturating_sub(1));
        }
    }

    /// An own message.
    fn said(&mut self, id: MessageId) -> Option<&mut Said> {
        let own = self.own;
        self.entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Said(said) if said.id == Some(id) && said.writer == own => Some(said),
            Entry::Said(_) | Entry::Notice(_) => None,
        })
    }

    fn is_here(&self, conversation: Conversation) -> bool {
        self.conversation == conversation
    }

    fn log(&self) -> Log {
        match self.conversation {
            Conversation::Room(room) => Log::Room(room),
            Conversation::Direct(_) => Log::Mailbox,
        }
    }
}

impl Said {
    fn of(message: &Message) -> Self {
        let text = message.content.text().map_or_else(|| message.content.value().to_string(), str::to_owned);
        Self {
            id: Some(message.id),
            writer: message.sender.account_id,
            at: message.sent_at,
            text: clean_lines(&text),
            delivery: Delivery {
                is_sent: message.is_sent,
                is_refused: message.refused.is_some(),
                receipts: message.receipts.clone(),
            },
            draft: None,
        }
    }
}

/// Entries that are kept on the screen; older ones are in the store.
const ENTRIES_MAX: usize = 2_000;

/// Lines that a page key scrolls.
const PAGE_LINES: usize = 10;
