//! What is seen while a run lasts: a few lines that change, or on something that is no terminal a line every few seconds.

mod lines;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal, Stdout, Write};

use ratatui::backend::CrosstermBackend;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::plan::Plan;
use super::tally::Tally;
use view::View;

/// Where a run is shown.
pub(super) enum Live {
    /// A part of the terminal, below what stands there.
    Screen(Box<Terminal<CrosstermBackend<Stdout>>>),
    /// Line after line.
    Lines,
}

/// Seconds between two lines.
const LINE_SECONDS: usize = 5;

impl Live {
    /// On the terminal, if standard output is one.
    pub(super) fn begin() -> Self {
        let options = TerminalOptions { viewport: Viewport::Inline(view::LINES) };
        let screen = || Terminal::with_options(CrosstermBackend::new(io::stdout()), options).ok();
        match io::stdout().is_terminal().then(screen).flatten() {
            Some(screen) => Self::Screen(Box::new(screen)),
            None => Self::Lines,
        }
    }

    /// Shows how many clients are connected.
    pub(super) fn connecting(&mut self, plan: &Plan, connected: usize) {
        match self {
            Self::Screen(screen) => {
                // Whoever looks sees the next picture; a run does not end because it is not seen.
                let _ = screen.draw(|frame| view::connecting(frame, plan, connected));
            }
            Self::Lines if connected > 0 && connected.is_multiple_of((plan.clients / 4).max(1)) => {
                say(&lines::connecting(plan, connected));
            }
            Self::Lines => {}
        }
    }

    /// Shows the run after another second.
    pub(super) fn show(&mut self, plan: &Plan, tally: &Tally) {
        let Some(view) = View::of(plan, tally) else { return };
        match self {
            Self::Screen(screen) => {
                let _ = screen.draw(|frame| view.draw(frame));
            }
            Self::Lines if view.elapsed.is_multiple_of(LINE_SECONDS) => say(&lines::line(&view)),
            Self::Lines => {}
        }
    }

    /// Gives the terminal back; what was shown last stays.
    pub(super) fn end(self) {
        if let Self::Screen(mut screen) = self {
            // What is said next stands below the picture.
            let last = screen.get_frame().area().bottom().saturating_sub(1);
            let _ = screen.set_cursor_position((0, last));
            let _ = screen.show_cursor();
            say("");
        }
    }
}

fn say(line: &str) {
    // A run goes on also where nobody reads what it says.
    let _ = writeln!(io::stdout(), "{line}");
}
