//! `conclave backup`: the recovery kit.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::login::{KIT_WORDS, Login};
use super::out;
use super::profile::{ProfileArgs, files};
use crate::client::{Client, Events, RecoveryKit};

/// What `conclave backup` is told.
#[derive(Debug, Subcommand)]
pub(super) enum Backup {
    /// Makes a recovery kit: what brings the account back when every device is lost.
    Create(Create),
    /// Brings an account back on this device, by its recovery kit. It is `login --recover FILE`.
    #[command(after_help = super::login::LOGIN_HELP)]
    Restore(Restore),
}

/// What `conclave backup create` is told.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The new file that it is written to. Without it, it is shown.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

/// What `conclave backup restore` is told.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The file with the kit.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    login: Login,
}

pub(super) const HELP: &str = "A kit holds the account's keys, not its messages. Kits that were made before stay good.";

impl Restore {
    /// The same, as a login.
    pub(super) fn into_login(self) -> Login {
        self.login.recovering(self.file)
    }
}

pub(super) async fn create(create: &Create, client: Client, _events: Events) -> Result<(), Box<dyn Error>> {
    let text = client.recovery_kit().await?.to_text();
    if let Some(path) = &create.file {
        files::write_new(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
        out::line(format_args!("The recovery kit is in {}.\n\n{KIT_WORDS}", path.display()))?;
    } else {
        let mut out = io::stdout();
        writeln!(out, "{}\n{KIT_WORDS}", text.as_str())?;
        out.flush()?;
    }
    client.kit_is_given().await?;
    Ok(client.close().await?)
}

/// The kit in a file.
pub(super) fn read_kit(path: &Path) -> Result<RecoveryKit, Box<dyn Error>> {
    Ok(RecoveryKit::parse(&files::read_named(path)?)?)
}
