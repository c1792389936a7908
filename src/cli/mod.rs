//! The commands.
//!
//! Of whoever runs a node: `serve`, `config`, and `load`, which puts load on one. Of whoever talks through one: `login` and
//! what follows it; each of these opens a profile, which is one device of one account, does one thing with the SDK, and
//! closes it.

mod address;
mod backup;
mod banner;
mod chat;
mod completions;
mod config;
mod contact;
mod demo;
mod devices;
mod explain;
mod history;
mod listen;
mod load;
mod login;
mod memory;
mod names;
mod out;
mod profile;
mod room;
mod send;
mod serve;
mod status;
mod text;
mod whoami;
mod wrap;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Builder;

use crate::client::{Client, ClientError, Events};
use crate::node::config::{ConfigError, Environ, Settings};
use devices::Devices;
use profile::ProfileArgs;
use status::STATUSES;

/// End-to-end encrypted messaging: the node and its commands.
#[derive(Debug, Parser)]
#[command(name = "conclave", version, about, max_term_width = 100, after_help = FIRST_STEPS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "First steps:
  conclave login --url URL      who you are, and keys for this device
  conclave room create NAME     a room; `conclave room invite` lets others in
  conclave chat ROOM            talk";

#[derive(Debug, Subcommand)]
enum Command {
    /// Signs in at a node, and sets this device up the first time.
    #[command(after_help = login::LOGIN_HELP, after_long_help = long(login::LOGIN_HELP))]
    Login(login::Login),
    /// Ends this device's session on the node.
    #[command(after_help = login::LOGOUT_HELP, after_long_help = long(login::LOGOUT_HELP))]
    Logout(login::Logout),
    /// Shows who you are: account, device, node.
    #[command(after_help = whoami::HELP, after_long_help = long(whoami::HELP))]
    Whoami(whoami::Whoami),
    /// Names for people, and safety numbers.
    #[command(after_help = contact::HELP, after_long_help = long(contact::HELP))]
    Contact(contact::Contact),
    /// The account's devices.
    #[command(after_help = devices::HELP, after_long_help = long(devices::HELP))]
    Devices(Devices),
    /// Rooms: make one, invite, join, list.
    #[command(after_help = room::HELP, after_long_help = long(room::HELP))]
    Room(room::Room),
    /// Sends a message to a room or a person.
    #[command(after_help = send::HELP, after_long_help = long(send::HELP))]
    Send(send::Send),
    /// Writes what comes: messages, and what else happens.
    #[command(after_help = listen::HELP, after_long_help = long(listen::HELP))]
    Listen(listen::Listen),
    /// Writes what this device keeps of a room or a conversation.
    #[command(after_help = history::HELP, after_long_help = long(history::HELP))]
    History(history::History),
    /// Talks in a room, on the whole terminal.
    #[command(after_help = chat::HELP, after_long_help = long(chat::HELP))]
    Chat(chat::ChatArgs),
    /// Keeps what you want to remember: sealed, on the node, for all your devices.
    #[command(after_help = memory::HELP, after_long_help = long(memory::HELP))]
    Memory(memory::MemoryArgs),
    /// The recovery kit, which brings the account back.
    #[command(subcommand, after_help = backup::HELP, after_long_help = long(backup::HELP))]
    Backup(backup::Backup),
    /// Shows what a node sees of two people who talk: everything but what they say.
    #[command(after_help = demo::HELP)]
    Demo(demo::Demo),
    /// Writes the completions for a shell.
    #[command(after_help = completions::HELP)]
    Completions(completions::Completions),
    /// Runs a node until it is told to stop (SIGTERM, or Ctrl-C).
    Serve(ConfigFile),
    /// Checks or shows the settings of a node.
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
    /// Carries the command out. An error is said in one line on standard error; statuses are in `--help`.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command.run() {
            Ok(status) => status,
            // Whoever read has had enough.
            Err(error) if out::is_broken_pipe(&*error) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("conclave: {}", explain::explain(&*error));
                ExitCode::from(status::status(&*error))
            }
        }
    }
}

impl Command {
    fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self {
            // Their status says more than that they ended.
            Self::Load(args) => return load::run(&args),
            Self::LoadProcess => return load::be_child(),
            Self::Login(command) => log_in(&command),
            Self::Logout(command) => with_device(&command.profile, login::log_out),
            Self::Whoami(command) => {
                with_device(&command.profile, async |client, events| whoami::run(&command, client, events).await)
            }
            Self::Contact(command) => {
                with_device(&command.profile, async |client, events| contact::run(&command, client, events).await)
            }
            Self::Devices(Devices { what: Some(devices::What::Link(login)), .. }) => log_in(&login.linking()),
            Self::Devices(command) => {
                with_device(&command.profile, async |client, events| devices::run(&command, client, events).await)
            }
            Self::Room(command) => {
                with_device(&command.profile, async |client, events| room::run(&command, client, events).await)
            }
            Self::Send(command) => {
                let content = command.content()?;
                with_device(&command.profile, async |client, events| send::run(&command, content, client, events).await)
            }
            Self::Listen(command) => {
                with_device(&command.profile, async |client, events| listen::run(&command, client, events).await)
            }
            Self::History(command) => {
                with_device(&command.profile, async |client, events| history::run(&command, client, events).await)
            }
            Self::Chat(command) => {
                with_device(&command.profile, async |client, events| chat::run(&command, client, events).await)
            }
            Self::Memory(command) => {
                let content = command.content()?;
                with_device(&command.profile, async |client, events| {
                    memory::run(&command, content, client, events).await
                })
            }
            Self::Backup(backup::Backup::Create(command)) => {
                with_device(&command.profile, async |client, events| backup::create(&command, client, events).await)
            }
            Self::Backup(backup::Backup::Restore(command)) => log_in(&command.into_login()),
            Self::Demo(command) => demo::run(&command),
            Self::Completions(command) => completions::run(&command),
            Self::Serve(file) => serve::run(&file),
            Self::Config(ConfigCommand::Check(file)) => config::check(&file),
            Self::Config(ConfigCommand::Print(file)) => config::print(&file),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn log_in(login: &login::Login) -> Result<(), Box<dyn Error>> {
    block_on(login::run(login))
}

/// Opens the profile's device, has the passphrase asked for first, and does something with it.
fn with_device(
    profile: &ProfileArgs,
    command: impl AsyncFnOnce(Client, Events) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let profile = profile.profile()?;
    block_on(async {
        let passphrase = profile.known_passphrase().await?;
        let (client, events) = profile.open(&passphrase).await?;
        // The first login was broken off.
        if matches!(client.is_kit_due().await, Ok(true)) {
            eprintln!("Nobody has this account's recovery kit yet: `conclave backup create` makes one.");
        }
        command(client, events).await
    })
}

fn block_on<T>(command: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(command);
    // A thread that waits for standard input or a key is not waited for.
    runtime.shutdown_background();
    done
}

/// Ends the use of a device. What the command has taken of the events is not told again.
async fn close(client: Client, events: &mut Events) -> Result<(), ClientError> {
    events.finish();
    match client.close().await {
        // Stopped, it has closed itself.
        Err(ClientError::Stopped) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What stands under the long help of a command that talks.
fn long(help: &str) -> String {
    format!("{help}\n\n{STATUSES}")
}
