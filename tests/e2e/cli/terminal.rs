//! A terminal: a command runs on it, somebody types, and what is drawn can be read.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::user::PATIENCE;

/// A command on a terminal of its own. It is hung up with this.
pub(super) struct Terminal {
    child: Child,
    keys: ChildStdin,
    drawn: ChildStdout,
    screen: Screen,
    runtime: Runtime,
}

impl Terminal {
    pub(super) fn run(command: &Command) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut relay = Command::new("python3");
        relay
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/cli/terminal.py"))
            .args([ROWS.to_string(), COLUMNS.to_string()])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = {
            let _runtime = runtime.enter();
            tokio::process::Command::from(relay).kill_on_drop(true).spawn().unwrap()
        };
        let (keys, drawn) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keys, drawn, screen: Screen::default(), runtime }
    }

    pub(super) fn types(&mut self, keys: &str) {
        self.runtime.block_on(self.keys.write_all(keys.as_bytes())).unwrap();
    }

    /// Waits until words stand on the screen.
    pub(super) fn shows(&mut self, words: &str) {
        self.until(words, |text| text.contains(words));
    }

    /// Waits until they do not.
    pub(super) fn hides(&mut self, words: &str) {
        self.until(words, |text| !text.contains(words));
    }

    fn until(&mut self, words: &str, is_it: impl Fn(&str) -> bool) {
        let Self { drawn, screen, runtime, .. } = self;
        let waiting = async {
            while !is_it(&screen.text()) {
                assert!(draw(drawn, screen).await, "it has ended, without {words:?}:\n{}", screen.text());
            }
        };
        let waited = runtime.block_on(async { timeout(PATIENCE, waiting).await });
        assert!(waited.is_ok(), "waiting for {words:?}:\n{}", self.screen.text());
    }

    /// What is drawn on.
    pub(super) const fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Waits until the command ends: its status, and what it leaves on the screen.
    pub(super) fn ends(mut self) -> (Option<i32>, Screen) {
        let Self { child, drawn, screen, runtime, .. } = &mut self;
        let ending = async {
            while draw(drawn, screen).await {}
            child.wait().await.unwrap()
        };
        let status = runtime.block_on(async { timeout(PATIENCE, ending).await });
        let status = status.unwrap_or_else(|_| panic!("it does not end:\n{}", self.screen.text()));
        (status.code(), self.screen)
    }
}

/// Takes what is drawn next. False at the end.
async fn draw(drawn: &mut ChildStdout, screen: &mut Screen) -> bool {
    let mut bytes = [0; 4_096];
    let count = drawn.read(&mut bytes).await.unwrap();
    screen.take(&bytes[..count]);
    count > 0
}

/// What a terminal shows, as far as the commands ask anything of one; what it does not know fails the test.
pub(super) struct Screen {
    cells: Vec<Vec<char>>,
    /// Row and column, from 0.
    cursor: (usize, usize),
    modes: BTreeSet<String>,
    /// The beginning of something that is not there whole.
    rest: Vec<u8>,
}

impl Default for Screen {
    fn default() -> Self {
        let modes = BTreeSet::from([CURSOR.to_owned()]);
        Self { cells: vec![vec![' '; COLUMNS]; ROWS], cursor: (0, 0), modes, rest: Vec::new() }
    }
}

impl Screen {
    pub(super) fn text(&self) -> String {
        let rows: Vec<String> = self.cells.iter().map(|row| row.iter().collect()).collect();
        rows.join("\n")
    }

    /// Whether the program has the screen to itself, or what was there before it stands behind.
    pub(super) fn is_alternate(&self) -> bool {
        self.modes.contains(ALTERNATE)
    }

    /// Whether it is as one that nobody has changed: no mode but a cursor that is seen.
    pub(super) fn is_as_new(&self) -> bool {
        self.modes.iter().eq([CURSOR])
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(length) = length(&self.rest) {
            let next: Vec<u8> = self.rest.drain(..length).collect();
            let next = str::from_utf8(&next).unwrap();
            match next.strip_prefix("\x1b[") {
                Some(sequence) => self.obey(sequence),
                None => next.chars().for_each(|c| self.put(c)),
            }
        }
    }

    fn obey(&mut self, sequence: &str) {
        let (parameters, what) = sequence.split_at(sequence.len() - 1);
        match (parameters, what) {
            (_, "m") => {}
            (_, "H") => {
                let (row, column) = parameters.split_once(';').unwrap();
                self.cursor = (row.parse::<usize>().unwrap() - 1, column.parse::<usize>().unwrap() - 1);
            }
            ("2", "J") => self.clear(),
            (mode, "h") => drop(self.modes.insert(mode.to_owned())),
            (mode, "l") => drop(self.modes.remove(mode)),
            _ => panic!("what is {sequence:?}?"),
        }
        if parameters == ALTERNATE {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.cells = vec![vec![' '; COLUMNS]; ROWS];
    }

    fn put(&mut self, c: char) {
        let (row, column) = self.cursor;
        match c {
            '\r' => self.cursor.1 = 0,
            '\n' if row + 1 == ROWS => {
                self.cells.remove(0);
                self.cells.push(vec![' '; COLUMNS]);
            }
            '\n' => self.cursor.0 += 1,
            _ if c.is_control() => panic!("what is {c:?}?"),
            _ if column == COLUMNS => "\r\n".chars().chain([c]).for_each(|c| self.put(c)),
            _ => {
                self.cells[row][column] = c;
                self.cursor.1 += 1;
            }
        }
    }
}

/// Bytes of the first character or sequence; none if it is not there whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = match *bytes.first()? {
        0x1b => {
            let end = bytes.iter().skip(2).position(|byte| (0x40..=0x7e).contains(byte));
            2 + end? + 1
        }
        first => usize::try_from(first.leading_ones()).unwrap().max(1),
    };
    (bytes.len() >= length).then_some(length)
}

const ROWS: usize = 24;
const COLUMNS: usize = 80;

const ALTERNATE: &str = "?1049";
const CURSOR: &str = "?25";
