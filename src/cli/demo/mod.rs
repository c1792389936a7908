//! `conclave demo`: two people talk through a node, and the node is searched for what they said.

mod actor;
mod columns;
mod sealed;
mod search;
mod story;
mod view;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use ratatui::crossterm::terminal;

use super::profile::files;
use crate::client::Http;
use crate::node::clock::Clock;
use crate::node::config::{Environ, Settings};
use crate::node::lifecycle::Node;
use crate::node::store::Store;
use actor::Stage;
use columns::heading;
use search::{Found, Searched, search};
use story::Story;

/// What `conclave demo` is told.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where the node's store and the people's are kept. Without it: in a new folder, which goes when the demo ends.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) const HELP: &str =
    "It starts a node on a free port, with a store of its own, and two people who use it. They meet,
one goes away, messages come out of order, keys are rotated, a device is lost and revoked. On the left
stands what the people see, on the right what is in the node's database, read back from the disk.

At the end every file of the node's store is searched for what was said.

Exit statuses:
  0  every message came, once, and none is to be found on the node
  1  something that was said stands in the node's store, or a message was lost";

pub(super) fn run(demo: &Demo) -> Result<(), Box<dyn Error>> {
    let folder = match &demo.folder {
        Some(path) => Folder { path: path.clone(), is_kept: true },
        None => Folder { path: files::temporary_folder("conclave-demo"), is_kept: false },
    };
    actix_web::rt::System::new().block_on(async {
        tokio::select! {
            done = play(&folder.path) => done,
            _ = tokio::signal::ctrl_c() => Err("stopped".into()),
        }
    })
}

async fn play(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (node_folder, people) = (folder.join("node"), folder.join("people"));
    files::make_folder(&node_folder)?;
    files::make_folder(&people)?;
    let node = Node::start(settings(&node_folder)?, Clock::system()).await?;
    let stage = Stage { url: format!("http://{}", node.address()), people, http: Http::new()? };
    let columns = columns();
    say(&format!("A node runs at {}, with its store in {}.\n\n", stage.url, node_folder.display()))?;
    say(&heading(columns))?;

    let mut story = Story::begin(stage, &node_folder.join(Store::FILE_NAME), columns)?;
    let played = story.play().await;
    // What a running node has on the disk, its write-ahead log too; and what it leaves behind.
    let running = search(&node_folder, &story::TEXTS)?;
    story.end()?;
    node.stop().await;
    let left = search(&node_folder, &story::TEXTS)?;
    let known = search(&node_folder, &[story::SUBJECT])?;
    played?;
    verdict(&[running, left], &known)
}

/// Says what the search has found.
///
/// # Errors
/// A text that was found; or nothing at all was, not even what the node knows.
fn verdict(searches: &[Searched], known: &Searched) -> Result<(), Box<dyn Error>> {
    use core::fmt::Write as _;

    let mut text = format!("\nThe node's store is searched for the {} texts that were written:\n", story::TEXTS.len());
    for (searched, when) in searches.iter().zip(["while it runs", "after it has stopped"]) {
        for (file, bytes) in &searched.files {
            let found = searched.found.iter().filter(|found| found.file == *file).count();
            let name = file.file_name().unwrap_or_default().display();
            // Into memory.
            let _ = writeln!(text, "  {name:20} {bytes:>9} bytes, {when}: {found} found");
        }
    }
    say(&text)?;
    if let Some(found) = searches.iter().flat_map(|searched| &searched.found).next() {
        let Found { file, text, form, at } = found;
        return Err(format!("\"{text}\" stands in {} at byte {at}, {form}", file.display()).into());
    }
    if known.found.is_empty() {
        return Err("the search does not even find what the node knows, so it shows nothing".into());
    }
    say(&format!("The same search finds what the node does know: that \"{}\" signed in.\n", story::SUBJECT))?;
    say(
        "\nEvery message came, once. The node knows who wrote to whom, when, and how much. What was said\nit does not know.\n",
    )
}

/// A node for development, on a free port, for two people who do a lot at once.
fn settings(folder: &Path) -> Result<Settings, Box<dyn Error>> {
    let given = [
        ("CONCLAVE__SERVER__ADDRESS", "127.0.0.1:0".to_owned()),
        ("CONCLAVE__STORE__FOLDER", folder.to_str().ok_or("the folder's name is no text")?.to_owned()),
        ("CONCLAVE__METRICS__ENABLED", "false".to_owned()),
    ];
    let given = given.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Ok(Settings::load(None, Environ::Given(given))?)
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Columns of the terminal, as far as two of text are good to read.
fn columns() -> usize {
    let size = if io::stdout().is_terminal() { terminal::size().ok() } else { None };
    size.map_or(COLUMNS, |(columns, _)| usize::from(columns)).clamp(COLUMNS_MIN, COLUMNS_MAX)
}

/// A folder that goes when the demo ends, unless it was named.
struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // There is nobody left to tell.
            let _ = files::remove_folder(&self.path);
        }
    }
}

const COLUMNS: usize = 110;
const COLUMNS_MIN: usize = 80;
const COLUMNS_MAX: usize = 130;
