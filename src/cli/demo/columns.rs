//! Two columns: what people see, and what the node sees.

use crate::cli::wrap::{cut, width, wrap};

/// A part of the story, as it is printed.
#[derive(Debug, Default)]
pub(super) struct Scene {
    title: String,
    people: Vec<String>,
    node: Vec<String>,
}

impl Scene {
    pub(super) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Something that the people see.
    pub(super) fn people(&mut self, line: impl Into<String>) {
        self.people.push(line.into());
    }

    /// Something that the node sees.
    pub(super) fn node(&mut self, line: impl Into<String>) {
        self.node.push(line.into());
    }

    /// The scene in so many columns.
    pub(super) fn print(&self, columns: usize) -> String {
        let (left, right) = halves(columns);
        let mut text = format!("\n{}\n", rule(&self.title, columns));
        let people: Vec<String> = self.people.iter().flat_map(|line| indented(line, left)).collect();
        let node: Vec<String> = self.node.iter().flat_map(|line| indented(line, right)).collect();
        for row in 0..people.len().max(node.len()) {
            let of = |column: &[String]| column.get(row).cloned().unwrap_or_default();
            text.push_str(&line(&of(&people), &of(&node), columns));
        }
        text
    }
}

/// What stands above the columns.
pub(super) fn heading(columns: usize) -> String {
    line("WHAT THE PEOPLE SEE", "WHAT THE NODE SEES", columns)
}

fn line(people: &str, node: &str, columns: usize) -> String {
    let (left, right) = halves(columns);
    let people = cut(people, left);
    let padding = " ".repeat(left.saturating_sub(width(&people)));
    let line = format!(" {people}{padding} │ {}", cut(node, right));
    format!("{}\n", line.trim_end())
}

/// A line that goes on further in.
fn indented(line: &str, columns: usize) -> Vec<String> {
    let begin: String = line.chars().take_while(|c| *c == ' ').collect();
    let rows = wrap(line.trim_start(), columns.saturating_sub(begin.len() + 2));
    let row = |(number, row): (usize, &String)| match number {
        0 => format!("{begin}{row}"),
        _ => format!("{begin}  {row}"),
    };
    rows.iter().enumerate().map(row).collect()
}

fn rule(title: &str, columns: usize) -> String {
    let dashes = columns.saturating_sub(width(title) + 5);
    format!("── {title} {}", "─".repeat(dashes))
}

/// Columns of each side.
const fn halves(columns: usize) -> (usize, usize) {
    let inner = columns.saturating_sub(5);
    (inner / 2, inner - inner / 2)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::cli::demo::view::Seen;
    use crate::ids::AccountId;
    use crate::wire::Envelope;

    #[test]
    fn both_columns_begin_at_the_same_place_and_break_inside_it() {
        let mut scene = Scene::new("They meet");
        scene.people("ada writes: a text that is too long for its column");
        scene.people("grace reads 你好");
        scene.node("a row");
        let printed = scene.print(50);
        let bars: Vec<usize> = printed.lines().filter_map(|line| Some(width(line.split_once('│')?.0))).collect();
        assert!(bars.len() >= 3 && bars.iter().all(|bar| *bar == bars[0]), "{printed}");
        assert!(printed.lines().all(|line| width(line) <= 50), "{printed}");
        assert!(printed.contains("── They meet ─"));
    }

    #[test]
    fn a_scene_is_printed_as_this() {
        let mut scene = Scene::new("6. A device is lost");
        scene.people("ada links a phone to her account");
        scene.people("grace writes: this reaches both of your devices, ada");
        let envelope = br#"{"v":1,"type":"e2ee_encrypted_message","id":"AAECAwQFBgcICQoLDA0ODw",
            "room_id":"YSByb29tIGZvciB0ZXN0cw","sender_id":"EBESExQVFhcYGRobHB0eHw",
            "sender_device":"ICEiIyQlJicoKSorLC0uLw","key_id":"MDEyMzQ1Njc","nonce":"QEFCQ0RFRkdISUpL",
            "timestamp":1800000000000,"payload":"UFFS"}"#;
        let envelope = Envelope::from_json(envelope).unwrap();
        let name = |account: AccountId| account.to_string().chars().take(6).collect();
        let (grace, ada) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let seen =
            Seen { log: "mailbox", from: grace, to: Some(ada), to_device: None, envelope: Some(envelope.to_cbor()) };
        let deleted = Seen { envelope: None, ..seen.clone() };
        [seen, deleted].iter().flat_map(|row| row.words(name)).for_each(|line| scene.node(line));
        insta::assert_snapshot!(scene.print(80), @r"
        ── 6. A device is lost ────────────────────────────────────────────────────────
         ada links a phone to her account      │ mailbox AQEBAQ → AgICAg: 201 bytes
         grace writes: this reaches both of    │   … 505152
           your devices, ada                   │ mailbox AQEBAQ → AgICAg: read, and
                                               │   deleted
        ");
    }
}
