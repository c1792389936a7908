//! The program: reads the command and carries it out.

use std::process::ExitCode;

use clap::Parser;
use conclave::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
