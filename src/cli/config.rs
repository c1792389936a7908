//! `conclave config`.

use std::error::Error;
use std::io::{self, Write};

use super::ConfigFile;

pub(super) fn check(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    file.settings()?;
    println!("The settings are good.");
    Ok(())
}

pub(super) fn print(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    // Not `println`, which panics when the reader has gone.
    Ok(io::stdout().write_all(file.settings()?.to_toml().as_bytes())?)
}
