//! The passphrase of a profile's store: typed without echo, or from a file.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use zeroize::Zeroizing;

use super::files;
use crate::protocol::public::limits::PASSPHRASE_BYTES_MAX;

/// Whether a passphrase is one that is known, or is to be thought of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    Known,
    New,
}

/// The first line of a file.
pub(super) fn of_file(path: &Path) -> Result<Zeroizing<String>, Box<dyn Error>> {
    let text = files::read_named(path)?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

/// Asks on the terminal, also where standard input is something else; a new one twice.
pub(super) fn of_terminal(asking: Asking) -> Result<Zeroizing<String>, Box<dyn Error>> {
    match asking {
        Asking::Known => ask("Passphrase: "),
        Asking::New => {
            let (first, second) = (ask("Choose a passphrase for this device: ")?, ask("Once more: ")?);
            if *first != *second {
                return Err("the two are not the same".into());
            }
            Ok(first)
        }
    }
}

fn ask(words: &str) -> Result<Zeroizing<String>, Box<dyn Error>> {
    match read_line(words) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err("no passphrase was given".into()),
        Err(error) => {
            Err(format!("there is no terminal to ask for the passphrase ({error}): use --passphrase-file").into())
        }
    }
}

fn read_line(words: &str) -> io::Result<Option<Zeroizing<String>>> {
    // Before it is asked for: whoever types at once is not shown either.
    let raw = RawMode::enable()?;
    eprint!("{words}");
    io::stderr().flush()?;
    let mut line = Line::default();
    let typed = loop {
        let Event::Key(key) = event::read()? else { continue };
        match line.key(key) {
            Typed::More => {}
            Typed::Done => break Some(line.0),
            Typed::Cancelled => break None,
        }
    };
    drop(raw);
    eprintln!();
    Ok(typed)
}

/// What was typed so far. Of its full size from the start: a text that grows leaves copies behind.
struct Line(Zeroizing<String>);

enum Typed {
    More,
    Done,
    Cancelled,
}

impl Default for Line {
    fn default() -> Self {
        Self(Zeroizing::new(String::with_capacity(PASSPHRASE_BYTES_MAX + 4)))
    }
}

impl Line {
    fn key(&mut self, key: KeyEvent) -> Typed {
        if key.kind == KeyEventKind::Release {
            return Typed::More;
        }
        match (key.code, key.modifiers.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Enter, _) => return Typed::Done,
            (KeyCode::Esc, _) | (KeyCode::Char('c' | 'd'), true) => return Typed::Cancelled,
            (KeyCode::Char('u'), true) => self.0.clear(),
            (KeyCode::Backspace, _) => {
                self.0.pop();
            }
            (KeyCode::Char(c), false) if self.0.len() <= PASSPHRASE_BYTES_MAX => self.0.push(c),
            _ => {}
        }
        Typed::More
    }
}

/// The terminal gives keys as they are pressed and shows none, until this is dropped.
struct RawMode;

impl RawMode {
    fn enable() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(line: &mut Line, text: &str) {
        for c in text.chars() {
            line.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
    }

    #[test]
    fn keys_edit_the_line_and_nothing_is_copied() {
        let mut line = Line::default();
        let place = line.0.as_ptr();
        type_in(&mut line, "wrong");
        line.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        type_in(&mut line, "hörse");
        line.key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE));
        assert_eq!(&**line.0, "hörs");
        assert!(matches!(line.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)), Typed::Done));
        type_in(&mut line, &"x".repeat(PASSPHRASE_BYTES_MAX * 2));
        // One over the limit, so that it is refused rather than cut.
        assert_eq!(line.0.len(), PASSPHRASE_BYTES_MAX + 1);
        assert_eq!(line.0.as_ptr(), place);
        assert!(matches!(line.key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)), Typed::Cancelled));
    }
}
