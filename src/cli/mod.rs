//! The commands.
//!
//! `conclave serve` runs a node; `conclave config check` and `config print` are about its settings;
//! `conclave load` puts load on one.

mod banner;
mod config;
mod load;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::node::config::{ConfigError, Environ, Settings};

/// End-to-end encrypted messaging: the node and its commands.
#[derive(Debug, Parser)]
#[command(name = "conclave", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node until it is told to stop (SIGTERM, or Ctrl-C).
    Serve(ConfigFile),
    /// Checks or shows the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    Load(Box<load::LoadArgs>),
    /// A part of a run of `load`, which starts it.
    #[command(hide = true)]
    LoadProcess,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says whether the settings are good, and if not, which is not and where it stands.
    Check(ConfigFile),
    /// Writes every setting with its documentation, as a file that can be used.
    Print(ConfigFile),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// A file of settings (TOML). What it lacks is as in `config print`; the environment overrides it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn settings(&self) -> Result<Settings, ConfigError> {
        Settings::load(self.config.as_deref(), Environ::Process)
    }
}

impl Cli {
    /// Carries the command out. An error is said in one line on standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Serve(file) => serve::run(&file).map(|()| ExitCode::SUCCESS),
            Command::Config(ConfigCommand::Check(file)) => config::check(&file).map(|()| ExitCode::SUCCESS),
            Command::Config(ConfigCommand::Print(file)) => config::print(&file).map(|()| ExitCode::SUCCESS),
            Command::Load(args) => load::run(&args),
            Command::LoadProcess => load::be_child(),
        };
        match result {
            Ok(status) => status,
            Err(error) => {
                eprintln!("conclave: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
