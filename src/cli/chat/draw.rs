//! A chat as it is drawn: of what it holds and of nothing else.
//!
//! ```text
//! title: the room, and who can read it            connection
//! messages ..                                   │ members
//! what stands against sending, who is writing
//! > the line                                          keys
//! ```

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Padding, Paragraph};

use super::state::{Alert, Chat, Connection, Delivery, Entry, Safety, Said, View};
use crate::cli::contact::in_rows;
use crate::cli::wrap::{cut, tail, width, wrap};
use crate::client::{Conversation, Receipt};
use crate::ids::AccountId;
use crate::wire::{Custody, RoomPolicy, Signatures, Timestamp};

/// How times are written: of the user's zone, or of a test's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) day: fn(Timestamp) -> String,
    pub(super) time_of_day: fn(Timestamp) -> String,
}

/// Draws all of it.
pub(super) fn draw(chat: &Chat, times: Times, frame: &mut Frame<'_>) {
    let [title, middle, state, input, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_title(chat, frame, title);
    let has_members = matches!(chat.conversation, Conversation::Room(_)) && middle.width >= WIDE;
    let [talk, members] =
        Layout::horizontal([Constraint::Min(1), Constraint::Length(if has_members { MEMBERS_COLUMNS } else { 0 })])
            .areas(middle);
    match &chat.view {
        View::Talk => draw_talk(chat, times, frame, talk),
        View::Help => draw_page(help(), "Keys", frame, talk),
        View::Safety(numbers) => draw_page(safety(chat, numbers.as_deref()), "Safety numbers", frame, talk),
    }
    if has_members {
        draw_members(chat, frame, members);
    }
    frame.render_widget(Paragraph::new(state_line(chat)), state);
    draw_input(chat, frame, input);
    frame.render_widget(Paragraph::new(keys_line(chat, keys.width)), keys);
}

fn draw_title(chat: &Chat, frame: &mut Frame<'_>, area: Rect) {
    let name = match chat.conversation {
        Conversation::Room(room) => chat.names.show_room(room),
        Conversation::Direct(account) => format!("@{}", chat.names.show(account)),
    };
    let (badge, badge_style, words) = badge(chat.policy);
    let (connection, connection_style) = match chat.connection {
        Connection::Connecting => ("connecting …", Style::new().fg(Color::Yellow)),
        Connection::Connected => ("connected", Style::new().fg(Color::Green)),
        Connection::Lost => ("not connected", Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD)),
        Connection::SignedOut => ("signed out", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
        Connection::Distrusted => ("NOT BELIEVED", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
        Connection::Refused => ("stopped", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
    };
    let columns = usize::from(area.width);
    let [left, right] =
        Layout::horizontal([Constraint::Min(1), Constraint::Length(columns_of(connection) + 1)]).areas(area);
    let name = cut(&name, columns / 3);
    let room = columns.saturating_sub(width(&name) + width(badge) + width(connection) + 8);
    let words = if width(words) <= room { words } else { "" };
    let title = Line::from(vec![
        Span::styled(format!(" {name} "), Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(format!(" {badge} "), badge_style),
        Span::styled(format!(" {words}"), DIM),
    ]);
    frame.render_widget(Paragraph::new(title), left);
    frame.render_widget(Paragraph::new(Span::styled(connection, connection_style)), right);
}

/// Who can read here, for the eye.
fn badge(policy: RoomPolicy) -> (&'static str, Style, &'static str) {
    let RoomPolicy { custody, protection: _, signatures } = policy;
    let words = match (custody, signatures) {
        (Custody::Client, Signatures::On) => "only its members can read it; messages are signed",
        (Custody::Client, Signatures::Off) => "only its members can read it; messages are deniable",
        (Custody::Node, _) => "the node holds the keys",
    };
    match custody {
        Custody::Client => ("end-to-end encrypted", Style::new().fg(Color::Black).bg(Color::Green), words),
        Custody::Node => ("THE NODE CAN READ THIS", Style::new().fg(Color::White).bg(Color::Red), words),
    }
}

fn draw_talk(chat: &Chat, times: Times, frame: &mut Frame<'_>, area: Rect) {
    let lines = talk_lines(chat, times, usize::from(area.width));
    let height = usize::from(area.height);
    let scrolled = chat.scrolled.min(lines.len().saturating_sub(height));
    let end = lines.len() - scrolled;
    let start = end.saturating_sub(height);
    let mut shown: Vec<Line<'_>> = lines.into_iter().skip(start).take(end - start).collect();
    if scrolled > 0
        && let Some(last) = shown.last_mut()
    {
        let words = if chat.first_new.is_some() { "new messages below" } else { "more below" };
        *last = Line::styled(format!("  ↓ {words} · Esc goes there"), Style::new().fg(Color::Yellow)).centered();
    }
    // The last line stands above the input, also of a short talk.
    let gap = height.saturating_sub(shown.len());
    let mut all = vec![Line::default(); gap];
    all.extend(shown);
    frame.render_widget(Paragraph::new(all), area);
}

fn talk_lines(chat: &Chat, times: Times, columns: usize) -> Vec<Line<'static>> {
    let writers = chat.entries.iter().filter_map(|entry| match entry {
        Entry::Said(said) => Some(said.writer),
        Entry::Notice(_) => None,
    });
    let names: BTreeMap<AccountId, String> =
        writers.map(|writer| (writer, cut(&chat.names.show(writer), NAME_COLUMNS_MAX))).collect();
    let name_columns = names.values().map(|name| width(name)).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut today = String::new();
    for (number, entry) in chat.entries.iter().enumerate() {
        if chat.first_new == Some(number) {
            lines.push(rule("new", columns, Style::new().fg(Color::Yellow)));
        }
        match entry {
            Entry::Said(said) => {
                let day = (times.day)(said.at);
                if day != today {
                    lines.push(rule(&day, columns, DIM));
                    today = day;
                }
                let name = names.get(&said.writer).map_or("", String::as_str);
                said_lines(chat, said, ((times.time_of_day)(said.at), name, name_columns), columns, &mut lines);
            }
            Entry::Notice(text) => {
                for line in wrap(text, columns.saturating_sub(10)) {
                    lines.push(Line::styled(format!("       · {line}"), DIM));
                }
            }
        }
    }
    lines
}

fn said_lines(
    chat: &Chat,
    said: &Said,
    (time, name, name_columns): (String, &str, usize),
    columns: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let is_own = said.writer == chat.own;
    let (mark, mark_style) = if is_own { mark(&said.delivery, chat.members.len()) } else { (String::new(), DIM) };
    let indent = 7 + name_columns + 2;
    let text_columns = columns.saturating_sub(indent + 1);
    let mut text = wrap(&said.text, text_columns);
    // The mark stands at the right of the last line, or below where there is no room.
    let last = text.last().map_or(0, |line| width(line));
    if !mark.is_empty() && last + 2 + width(&mark) > text_columns {
        text.push(String::new());
    }
    let count = text.len();
    let name_style = if is_own { Style::new().add_modifier(Modifier::BOLD) } else { style_of(said.writer) };
    for (row, line) in text.into_iter().enumerate() {
        let mut spans = Vec::new();
        if row == 0 {
            spans.push(Span::styled(format!(" {time} "), DIM));
            let padding = " ".repeat(name_columns.saturating_sub(width(name)));
            spans.push(Span::styled(format!("{padding}{name}"), name_style));
            spans.push(Span::raw("  "));
        } else {
            spans.push(Span::raw(" ".repeat(indent)));
        }
        let padding = text_columns.saturating_sub(width(&line) + width(&mark));
        spans.push(Span::raw(line));
        if row + 1 == count && !mark.is_empty() {
            spans.push(Span::raw(" ".repeat(padding)));
            spans.push(Span::styled(mark.clone(), mark_style));
        }
        lines.push(Line::from(spans));
    }
}

/// How far an own message has come, with how many of the others, where that is not all.
fn mark(delivery: &Delivery, others: usize) -> (String, Style) {
    let Delivery { is_sent, is_refused, receipts } = delivery;
    let read = receipts.values().filter(|receipt| **receipt == Receipt::Read).count();
    let delivered = receipts.len();
    let of = |count: usize| if count >= others { String::new() } else { format!(" {count}/{others}") };
    match (is_refused, is_sent) {
        (true, _) => ("✗ not sent".to_owned(), Style::new().fg(Color::Red)),
        (false, _) if read > 0 => (format!("✓✓ read{}", of(read)), Style::new().fg(Color::Cyan)),
        (false, _) if delivered > 0 => (format!("✓✓ delivered{}", of(delivered)), DIM),
        (false, true) => ("✓ on the node".to_owned(), DIM),
        (false, false) => ("… waiting".to_owned(), Style::new().fg(Color::Yellow)),
    }
}

fn draw_members(chat: &Chat, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new().borders(Borders::LEFT).border_style(DIM).padding(Padding::left(1));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let columns = usize::from(inner.width).saturating_sub(2);
    let mut lines = vec![Line::styled(format!("Members {}", chat.members.len() + 1), DIM)];
    let own = chat.names.of_account(chat.own).map_or("you".to_owned(), |name| format!("{name} (you)"));
    lines.push(Line::from(vec![
        Span::styled("● ", Style::new().fg(Color::Green)),
        Span::styled(cut(&own, columns), Style::new().add_modifier(Modifier::BOLD)),
    ]));
    for (account, member) in &chat.members {
        let (dot, style) = if member.is_online { ("● ", Style::new().fg(Color::Green)) } else { ("○ ", DIM) };
        let is_changed = chat.alert == Some(Alert::Identity(*account));
        let sign = if is_changed { " !" } else { "" };
        let name = cut(&chat.names.show(*account), columns.saturating_sub(width(sign)));
        lines.push(Line::from(vec![
            Span::styled(dot, style),
            Span::styled(name, style_of(*account)),
            Span::styled(sign, Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
        ]));
    }
    if !chat.elsewhere.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("New elsewhere", DIM));
        for (conversation, count) in &chat.elsewhere {
            let name = match conversation {
                Conversation::Room(room) => chat.names.show_room(*room),
                Conversation::Direct(account) => format!("@{}", chat.names.show(*account)),
            };
            lines.push(Line::raw(format!("{} {count}", cut(&name, columns.saturating_sub(4)))));
        }
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn state_line(chat: &Chat) -> Line<'static> {
    let alarm = Style::new().fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD);
    match &chat.alert {
        Some(Alert::Identity(account)) => {
            let who = chat.names.show(*account);
            return Line::styled(
                format!(" The identity of {who} has changed: nothing is sent. F2 to compare. "),
                alarm,
            );
        }
        Some(Alert::Policy(_)) => {
            return Line::styled(" The node shows another policy of this room: nothing is sent here. ", alarm);
        }
        None => {}
    }
    let typists = chat.typists();
    let words = match (chat.connection, typists.as_slice()) {
        (Connection::Lost, _) => " What you write is kept, and goes when the node is back.".to_owned(),
        (Connection::SignedOut, _) => " The session has ended: leave, and `conclave login`.".to_owned(),
        (Connection::Distrusted, _) => {
            " The node shows something false or old of this account, and is not used.".to_owned()
        }
        (Connection::Refused, _) => " Another program uses this device; start again.".to_owned(),
        (_, []) => String::new(),
        (_, [one]) => format!(" {one} is writing …"),
        (_, [one, two]) => format!(" {one} and {two} are writing …"),
        (_, many) => format!(" {} people are writing …", many.len()),
    };
    Line::styled(words, DIM.add_modifier(Modifier::ITALIC))
}

fn draw_input(chat: &Chat, frame: &mut Frame<'_>, area: Rect) {
    let columns = usize::from(area.width).saturating_sub(4);
    let (before, after) = chat.input.halves();
    let (before, after) = (before.replace('\n', "⏎"), after.replace('\n', "⏎"));
    let before = tail(&before, columns);
    let line = if chat.input.text().is_empty() {
        Line::from(vec![Span::raw(" > "), Span::styled("write a message", DIM)])
    } else {
        Line::from(vec![Span::raw(" > "), Span::raw(before.to_owned()), Span::raw(after)])
    };
    frame.render_widget(Paragraph::new(line), area);
    if chat.view == View::Talk {
        frame.set_cursor_position((area.x + 3 + columns_of(before), area.y));
    }
}

fn keys_line(chat: &Chat, columns: u16) -> Line<'static> {
    let keys: &[&str] = match &chat.view {
        View::Talk => &["Enter send", "F1 help", "F2 safety numbers", "PgUp PgDn scroll", "↑↓ sent before", "^C leave"],
        View::Help | View::Safety(_) => &["any key: back"],
    };
    // The last says how to leave: it is always there.
    let (Some((last, others)), columns) = (keys.split_last(), usize::from(columns)) else { return Line::default() };
    let mut line = String::new();
    for key in others {
        let next = format!("{line} {key} ·");
        if width(&next) + 1 + width(last) > columns {
            break;
        }
        line = next;
    }
    line = format!("{line} {last}");
    Line::styled(line, DIM)
}

fn draw_page(lines: Vec<Line<'static>>, title: &'static str, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered().title(format!(" {title} ")).border_style(DIM).padding(Padding::uniform(1));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let wrapped = Paragraph::new(lines).wrap(ratatui::widgets::Wrap { trim: false });
    frame.render_widget(wrapped, inner);
}

fn help() -> Vec<Line<'static>> {
    let key = |name: &'static str, what: &'static str| {
        Line::from(vec![Span::styled(format!("{name:16}"), Style::new().fg(Color::Cyan)), Span::raw(what)])
    };
    vec![
        key("Enter", "sends the line"),
        key("Alt-Enter", "another line, same message"),
        key("↑ ↓", "what was sent before"),
        key("Ctrl-A Ctrl-E", "to the beginning, to the end"),
        key("Ctrl-W Ctrl-U", "cut a word, cut the line"),
        key("PgUp PgDn Esc", "scroll; back to the end"),
        key("F2", "safety numbers, to compare"),
        key("/name WHO NAME", "calls somebody by a name"),
        key("Ctrl-C", "leaves; messages wait for you"),
        Line::default(),
        Line::raw("… waiting       kept here, not on the node yet"),
        Line::raw("✓ on the node   stored there, sealed"),
        Line::raw("✓✓ delivered    a device of theirs has opened it"),
        Line::raw("✓✓ read         they have seen it; 1/2 is one of two"),
    ]
}

fn safety(chat: &Chat, numbers: Option<&[Safety]>) -> Vec<Line<'static>> {
    let Some(numbers) = numbers else { return vec![Line::raw("One moment …")] };
    let mut lines = Vec::new();
    for Safety { account, number, changed } in numbers {
        lines.push(Line::styled(chat.names.show(*account), style_of(*account).add_modifier(Modifier::BOLD)));
        match number {
            Some(number) => lines.extend(in_rows(number).lines().map(|row| Line::raw(row.to_owned()))),
            None => lines.push(Line::raw("  has no device yet")),
        }
        if let Some((_, number)) = changed {
            let alarm = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
            lines.push(Line::styled("  The node shows another identity, which would have:", alarm));
            lines.extend(in_rows(number).lines().map(|row| Line::styled(row.to_owned(), alarm)));
            lines.push(Line::styled("  If they read the same digits to you, press a to accept it.", alarm));
        }
        lines.push(Line::default());
    }
    lines.push(Line::styled(
        "Read them to each other, by voice or in person. If they are the same on both screens, nobody stands between you, the \
         node neither.",
        DIM,
    ));
    lines
}

fn rule(word: &str, columns: usize, style: Style) -> Line<'static> {
    let dashes = columns.saturating_sub(width(word) + 2) / 2;
    let dash = "─".repeat(dashes.min(RULE_COLUMNS_MAX));
    Line::styled(format!("{dash} {word} {dash}"), style).centered()
}

/// A colour that somebody keeps.
fn style_of(account: AccountId) -> Style {
    let sum: usize = account.as_bytes().iter().map(|byte| usize::from(*byte)).sum();
    Style::new().fg(COLOURS.get(sum % COLOURS.len()).copied().unwrap_or(Color::Reset))
}

fn columns_of(text: &str) -> u16 {
    u16::try_from(width(text)).unwrap_or(u16::MAX)
}

const DIM: Style = Style::new().fg(Color::DarkGray);

const COLOURS: [Color; 6] =
    [Color::Cyan, Color::Magenta, Color::Blue, Color::LightGreen, Color::LightMagenta, Color::LightBlue];

/// Columns of a terminal that has room for the members.
const WIDE: u16 = 64;

const MEMBERS_COLUMNS: u16 = 20;

const NAME_COLUMNS_MAX: usize = 14;

const RULE_COLUMNS_MAX: usize = 24;
