//! `conclave config`.

use std::error::Error;
use std::io::{self, Write};

use super::{ConfigFile, out};

pub(super) fn check(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    file.settings()?;
    out::line("The settings are good.")?;
    Ok(())
}

pub(super) fn print(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(file.settings()?.to_toml().as_bytes())?)
}
