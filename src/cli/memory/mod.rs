//! `conclave memory`: what people and agents keep for themselves, sealed in the account's vault.

mod form;
mod line;

use core::time::Duration;
use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use tokio::time::{Instant, interval};
use zeroize::Zeroizing;

use super::out;
use super::profile::{ProfileArgs, files};
use super::status::CliError;
use crate::client::vault::{ChatHistory, Collection, ItemState, Memory, VaultError};
use crate::client::{Client, ClientError, Clock, Events};
use crate::ids::{CollectionName, ItemId};
use form::Form;
use line::For;
pub(super) use line::HELP;

/// What `conclave memory` is told.
#[derive(Debug, Args)]
pub(super) struct MemoryArgs {
    #[command(subcommand)]
    what: What,
    /// Which collection. `chats` holds chats, any other one memories. The node sees its name: a to z, 0 to 9, `-`, `_`.
    #[arg(long, value_name = "NAME", default_value = "memories", global = true)]
    collection: CollectionName,
    /// Takes JSON, and writes JSON: one object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Keeps something under a name. What was kept under it before is written over.
    Put(Put),
    /// Writes what is kept under a name.
    Get {
        /// The name, or the item's id.
        #[arg(allow_hyphen_values = true)]
        name: String,
    },
    /// Lists what is kept, that written last at the end: id, version, when, name.
    List,
    /// Deletes what is kept under a name.
    Delete {
        /// The name, or the item's id.
        #[arg(allow_hyphen_values = true)]
        name: String,
        /// Only if this version is there.
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// Lists the collections, by the node's word: name, items, bytes.
    Collections,
    /// Takes a collection as the node shows it now, although it is older than what was seen: say so if you know that the
    /// node was restored from a backup. What your devices have not written is refused all the same.
    Accept,
}

/// What `conclave memory put` is told.
#[derive(Debug, Args)]
struct Put {
    /// The name, of any words: of a memory, what was asked. With --json it may stand in the JSON instead.
    #[arg(allow_hyphen_values = true)]
    name: Option<String>,
    /// What is kept. Without it, or with `-`: all of standard input.
    #[arg(allow_hyphen_values = true)]
    text: Option<String>,
    /// What is kept stands in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    file: Option<PathBuf>,
    /// Only if this version is there; 0: only if nothing is.
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

impl MemoryArgs {
    /// What is to be kept, read before anything else is begun; none if nothing is.
    pub(super) fn content(&self) -> Result<Option<Zeroizing<String>>, Box<dyn Error>> {
        let What::Put(put) = &self.what else { return Ok(None) };
        if put.name.is_none() && !self.json {
            return Err(CliError::Usage("under which name? `conclave memory put NAME TEXT`".to_owned()).into());
        }
        let text = match (&put.file, put.text.as_deref()) {
            (Some(path), _) => files::read_named(path)?,
            (None, None | Some("-")) => files::read_input()?,
            (None, Some(text)) => Zeroizing::new(text.to_owned()),
        };
        Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
    }
}

pub(super) async fn run(
    command: &MemoryArgs,
    content: Option<Zeroizing<String>>,
    client: Client,
    _events: Events,
) -> Result<(), Box<dyn Error>> {
    let content = content.as_deref().map(String::as_str);
    let until = Instant::now() + KEY_PATIENCE;
    let mut looks = interval(LOOK_EVERY);
    let done = loop {
        looks.tick().await;
        let done = match &command.collection {
            name if *name == CollectionName::chats() => carry_out::<ChatHistory>(command, content, &client).await,
            _ => carry_out::<Memory>(command, content, &client).await,
        };
        // A linked device gets the key like a message: it may be among what was missed.
        if !done.as_ref().is_err_and(|error| lacks_key(&**error)) || Instant::now() > until {
            break done;
        }
    };
    client.close().await?;
    done.map_err(|error| explained(command, error))
}

async fn carry_out<T: Form>(
    command: &MemoryArgs,
    content: Option<&str>,
    client: &Client,
) -> Result<(), Box<dyn Error>> {
    let reader = if command.json { For::Programs } else { For::People };
    let items: Collection<T> = client.vault().collection(command.collection.clone(), T::item_type());
    match &command.what {
        What::Put(put) => {
            let text = content.unwrap_or_default();
            let content = item::<T>(put.name.as_deref(), text, command.json)?;
            let (id, present) = find(&items, content.name()).await?;
            expect(put.version, present)?;
            let stored = items.put(id, present.version(), &content).await?;
            out::line(line::stored(reader, &stored, content.name()))?;
        }
        What::Get { name } => {
            let (id, _) = find(&items, name).await?;
            let kept = items.get(id).await?.ok_or_else(|| absent(name))?;
            out::line(line::kept(reader, &kept))?;
        }
        What::List => {
            for listed in items.list().await? {
                // None if it was deleted since.
                if let Some(kept) = items.get(listed.id).await? {
                    out::line(line::listed(reader, &kept))?;
                }
            }
        }
        What::Delete { name, version } => {
            let (id, present) = find(&items, name).await?;
            let ItemState::Present { version: there } = present else { return Err(absent(name).into()) };
            expect(*version, present)?;
            let version = items.delete(id, there).await?;
            if command.json {
                out::line(line::deleted(id, version))?;
            }
        }
        What::Collections => {
            for collection in client.vault().summary().await?.collections {
                out::line(line::collection(reader, &collection))?;
            }
        }
        What::Accept => items.accept().await?,
    }
    Ok(())
}

fn item<T: Form>(name: Option<&str>, text: &str, is_json: bool) -> Result<T, CliError> {
    let now = Clock::system().now();
    let item = if is_json { T::of_json(name, text, now)? } else { T::of_text(name.unwrap_or_default(), text, now)? };
    if item.name().is_empty() || item.name().parse::<ItemId>().is_ok() {
        return Err(CliError::Usage(format!("the name of a {} is not empty, and is no id", T::NOUN)));
    }
    Ok(item)
}

/// An item by its name or id, and how it stands with it.
async fn find<T: Form>(items: &Collection<T>, name: &str) -> Result<(ItemId, ItemState), VaultError> {
    let id = match name.parse() {
        Ok(id) => id,
        Err(_) => items.id_of(name).await?,
    };
    Ok((id, items.state(id).await?))
}

/// Whether that version is there that the command line says.
fn expect(said: Option<u64>, present: ItemState) -> Result<(), CliError> {
    let there = if let ItemState::Present { version } = present { version } else { 0 };
    match said {
        // What was deleted has a version too: that of its deletion.
        Some(said) if said != there && said != present.version() => Err(CliError::Overtaken { present: there }),
        _ => Ok(()),
    }
}

fn absent(name: &str) -> CliError {
    CliError::Absent { name: super::text::clean(name) }
}

fn lacks_key(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(VaultError::Client(ClientError::NoVaultKey)))
}

/// An error of the vault in words of the command line, and what helps.
fn explained(command: &MemoryArgs, error: Box<dyn Error>) -> Box<dyn Error> {
    let collection = &command.collection;
    match error.downcast_ref() {
        Some(VaultError::Conflict { present, .. }) => CliError::Overtaken { present: *present }.into(),
        Some(VaultError::Client(ClientError::NoVaultKey)) => NO_KEY.into(),
        Some(error) if error.blames_node() => {
            if command.json {
                // The error goes to standard error all the same.
                let _ = out::line(line::lie(collection, error));
            }
            CliError::Lie { collection: collection.clone(), reason: error.to_string() }.into()
        }
        _ => error,
    }
}

const NO_KEY: &str = "the key of the memories is not on this device yet. It has asked your other devices for it: start \
     `conclave listen` on one that has it, then try again";

/// How long a device that has no key waits for one.
const KEY_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks whether the key has come.
const LOOK_EVERY: Duration = Duration::from_millis(100);
