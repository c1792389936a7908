//! The node's log lines: to standard error, as text or as JSON.

use std::io::IsTerminal;

use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::config::{Log, LogFormat};

/// Writes the process's log lines as the settings say.
///
/// # Errors
/// If the process has a place for log lines already.
pub fn start(settings: &Log) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(settings.filter.to_filter())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match settings.format {
        LogFormat::Text => lines.finish().try_init(),
        LogFormat::Json => lines.json().finish().try_init(),
    }
}
