//! Standard output.
//!
//! `println` panics when its reader has gone. Here that is an error, which ends a command in silence: whoever read has had enough.

use core::fmt::Display;
use std::error::Error;
use std::io::{self, Write};

/// Writes a line, so that it is read at once.
///
/// # Errors
/// Standard output is closed, or takes nothing more.
pub(super) fn line(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Whether an error says that the reader has gone.
pub(super) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
