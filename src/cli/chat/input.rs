//! The line that somebody types: a text, a cursor, and what was sent before.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The input line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    text: String,
    /// In bytes, between two characters.
    cursor: usize,
    history: Vec<String>,
    /// Which entry of the history is shown.
    shown: Option<usize>,
    /// What was being written before the history was looked at.
    draft: String,
}

impl Input {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor, and what after it.
    pub(super) fn halves(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Takes the line away, into the history.
    pub(super) fn take(&mut self) -> String {
        let text = core::mem::take(&mut self.text);
        self.cursor = 0;
        self.shown = None;
        if self.history.last() != Some(&text) {
            self.history.push(text.clone());
        }
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
        }
        text
    }

    /// Puts a text at the cursor, as far as there is room for it.
    pub(super) fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| *c == '\n' || !c.is_control()) {
            if self.text.len() + c.len_utf8() <= TEXT_BYTES_MAX {
                self.text.insert(self.cursor, c);
                self.cursor += c.len_utf8();
            }
        }
    }

    /// Does what a key asks for. False if it has no meaning here.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let word = control || key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Left if word => self.cursor = self.word_start(),
            KeyCode::Right if word => self.cursor = self.word_end(),
            KeyCode::Left => self.cursor -= self.before(),
            KeyCode::Right => self.cursor += self.after(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('u') if control => self.cut(0, self.cursor),
            KeyCode::Char('k') if control => self.cut(self.cursor, self.text.len()),
            KeyCode::Char('w') if control => self.cut(self.word_start(), self.cursor),
            KeyCode::Backspace if word => self.cut(self.word_start(), self.cursor),
            KeyCode::Backspace => self.cut(self.cursor - self.before(), self.cursor),
            KeyCode::Delete => self.cut(self.cursor, self.cursor + self.after()),
            KeyCode::Up => self.look_back(),
            KeyCode::Down => self.look_forward(),
            KeyCode::Enter if key.modifiers.contains(KeyModifiers::ALT) => self.insert("\n"),
            KeyCode::Char(c) if !word => self.insert(c.encode_utf8(&mut [0; 4])),
            _ => return false,
        }
        true
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    /// Bytes of the character before the cursor.
    fn before(&self) -> usize {
        self.halves().0.chars().next_back().map_or(0, char::len_utf8)
    }

    /// Bytes of the character after the cursor.
    fn after(&self) -> usize {
        self.halves().1.chars().next().map_or(0, char::len_utf8)
    }

    fn word_start(&self) -> usize {
        let before = self.halves().0.trim_end();
        before.rfind(char::is_whitespace).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8))
    }

    fn word_end(&self) -> usize {
        let after = self.halves().1;
        let spaces = after.len() - after.trim_start().len();
        let word = after.trim_start();
        self.cursor + spaces + word.find(char::is_whitespace).unwrap_or(word.len())
    }

    fn look_back(&mut self) {
        let at = match self.shown {
            None => self.history.len().checked_sub(1),
            Some(at) => Some(at.saturating_sub(1)),
        };
        let Some(text) = at.and_then(|at| self.history.get(at).cloned()) else { return };
        if self.shown.is_none() {
            self.draft = core::mem::take(&mut self.text);
        }
        self.shown = at;
        self.show(text);
    }

    fn look_forward(&mut self) {
        let Some(at) = self.shown else { return };
        self.shown = Some(at + 1).filter(|next| *next < self.history.len());
        let text = self.shown.and_then(|at| self.history.get(at).cloned());
        let text = text.unwrap_or_else(|| core::mem::take(&mut self.draft));
        self.show(text);
    }

    fn show(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }
}

/// A line as long as this has another home than a chat; a message could hold more.
const TEXT_BYTES_MAX: usize = 16 * 1024;

const HISTORY_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut Input, code: KeyCode, modifiers: KeyModifiers) {
        assert!(input.key(KeyEvent::new(code, modifiers)));
    }

    fn typed(text: &str) -> Input {
        let mut input = Input::default();
        for c in text.chars() {
            press(&mut input, KeyCode::Char(c), KeyModifiers::NONE);
        }
        input
    }

    #[test]
    fn keys_edit_at_the_cursor_whatever_a_character_weighs() {
        let mut input = typed("grüße 你好");
        press(&mut input, KeyCode::Left, KeyModifiers::NONE);
        press(&mut input, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(input.halves(), ("grüße ", "好"));
        press(&mut input, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(input.halves(), ("", "好"));
        press(&mut input, KeyCode::Delete, KeyModifiers::NONE);
        press(&mut input, KeyCode::Backspace, KeyModifiers::NONE);
        press(&mut input, KeyCode::Left, KeyModifiers::NONE);
        assert_eq!(input.text(), "");
    }

    #[test]
    fn words_are_passed_and_cut_whole() {
        let mut input = typed("one  two three");
        press(&mut input, KeyCode::Left, KeyModifiers::CONTROL);
        press(&mut input, KeyCode::Left, KeyModifiers::ALT);
        assert_eq!(input.halves(), ("one  ", "two three"));
        press(&mut input, KeyCode::Right, KeyModifiers::CONTROL);
        assert_eq!(input.halves(), ("one  two", " three"));
        press(&mut input, KeyCode::Char('k'), KeyModifiers::CONTROL);
        press(&mut input, KeyCode::Home, KeyModifiers::NONE);
        press(&mut input, KeyCode::Right, KeyModifiers::CONTROL);
        press(&mut input, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(input.halves(), ("", "  two"));
    }

    #[test]
    fn the_history_goes_back_and_the_draft_comes_again() {
        let mut input = typed("first");
        assert_eq!(input.take(), "first");
        input.insert("second");
        input.take();
        input.insert("a draft");
        press(&mut input, KeyCode::Up, KeyModifiers::NONE);
        assert_eq!(input.text(), "second");
        press(&mut input, KeyCode::Up, KeyModifiers::NONE);
        press(&mut input, KeyCode::Up, KeyModifiers::NONE);
        assert_eq!(input.text(), "first");
        press(&mut input, KeyCode::Down, KeyModifiers::NONE);
        press(&mut input, KeyCode::Down, KeyModifiers::NONE);
        assert_eq!(input.halves(), ("a draft", ""));
        press(&mut input, KeyCode::Down, KeyModifiers::NONE);
        assert_eq!(input.text(), "a draft");
    }

    #[test]
    fn what_is_pasted_brings_lines_but_no_control_characters_and_has_an_end() {
        let mut input = Input::default();
        input.insert("a\r\nb\u{1b}[31m");
        assert_eq!(input.text(), "a\nb[31m");
        input.insert(&"ü".repeat(TEXT_BYTES_MAX));
        assert!(input.text().len() <= TEXT_BYTES_MAX);
    }
}
