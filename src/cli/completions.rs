//! `conclave completions`.

use std::error::Error;
use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;

/// What `conclave completions` is told.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) const HELP: &str = "Examples:
  conclave completions bash > ~/.local/share/bash-completion/completions/conclave
  conclave completions zsh > ~/.zfunc/_conclave
  conclave completions fish > ~/.config/fish/completions/conclave.fish";

pub(super) fn run(completions: &Completions) -> Result<(), Box<dyn Error>> {
    let mut script = Vec::new();
    generate(completions.shell, &mut Cli::command(), "conclave", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
