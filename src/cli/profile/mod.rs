//! A profile: the folder of one device of one account.
//!
//! ```text
//! device.store    keys, rooms, messages: the SDK's store, encrypted under the passphrase
//! node.json       where the node is; not secret
//! authority.pem   whose certificates are trusted, where that is not the system's choice
//! ```

pub(super) mod files;
mod passphrase;

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::status::CliError;
use crate::client::{Client, ClientError, Events, Http, Store, StoreError};
use crate::protocol::keystore::Passphrase;
use passphrase::Asking;

/// Which profile, and what opens it.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ProfileArgs {
    /// The folder of this device's keys and messages. Without it: `conclave` in `$XDG_DATA_HOME`, or in `~/.local/share`.
    #[arg(long, value_name = "DIR", env = "CONCLAVE_PROFILE", global = true, help_heading = "Profile")]
    profile: Option<PathBuf>,
    /// A file whose first line is the passphrase. Without it, the terminal is asked.
    #[arg(long, value_name = "FILE", env = "CONCLAVE_PASSPHRASE_FILE", global = true, help_heading = "Profile")]
    passphrase_file: Option<PathBuf>,
}

/// A profile's folder, and the passphrase of its store.
#[derive(Debug)]
pub(super) struct Profile {
    folder: PathBuf,
    passphrase_file: Option<PathBuf>,
}

/// What `node.json` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    url: String,
}

impl ProfileArgs {
    pub(super) fn profile(&self) -> Result<Profile, Box<dyn Error>> {
        let folder = match &self.profile {
            Some(folder) => folder.clone(),
            None => files::data_folder().ok_or("there is no home folder: use --profile")?.join("conclave"),
        };
        Ok(Profile { folder, passphrase_file: self.passphrase_file.clone() })
    }
}

impl Profile {
    /// Whether a store is there, made to its end.
    pub(super) async fn has_store(&self) -> Result<bool, Box<dyn Error>> {
        Ok(Store::is_at(&self.store_path()).await?)
    }

    /// The passphrase of the store, or of the one that is to be made. It may wait for somebody who types.
    pub(super) async fn passphrase(&self) -> Result<Zeroizing<String>, Box<dyn Error>> {
        let asking = if self.has_store().await? { Asking::Known } else { Asking::New };
        match &self.passphrase_file {
            Some(path) => passphrase::of_file(path),
            None => passphrase::of_terminal(asking),
        }
    }

    /// As [`passphrase`](Self::passphrase), of a store that is there.
    ///
    /// # Errors
    /// [`CliError::NoDevice`] if it is not.
    pub(super) async fn known_passphrase(&self) -> Result<Zeroizing<String>, Box<dyn Error>> {
        if self.has_store().await? { self.passphrase().await } else { Err(self.no_device().into()) }
    }

    /// Makes the store.
    pub(super) async fn create_store(&self, passphrase: &Zeroizing<String>) -> Result<Store, Box<dyn Error>> {
        files::make_folder(&self.folder)?;
        Ok(Store::create(&self.store_path(), Passphrase::new(passphrase.clone())?).await?)
    }

    /// Opens the store.
    pub(super) async fn open_store(&self, passphrase: &Zeroizing<String>) -> Result<Store, Box<dyn Error>> {
        Store::open(&self.store_path(), Passphrase::new(passphrase.clone())?).await.map_err(|error| match error {
            StoreError::InUse { .. } => {
                "another conclave command is using this profile: end it, or give this one a profile of its own".into()
            }
            error => error.into(),
        })
    }

    /// Goes on with the device of the profile.
    pub(super) async fn open(&self, passphrase: &Zeroizing<String>) -> Result<(Client, Events), Box<dyn Error>> {
        let store = self.open_store(passphrase).await?;
        match Client::open(store, self.http()?).await {
            Err(ClientError::NotSetUp) => Err(self.no_device().into()),
            opened => Ok(opened?),
        }
    }

    /// Connections that trust whom the profile trusts.
    pub(super) fn http(&self) -> Result<Http, Box<dyn Error>> {
        match files::read(&self.folder.join(AUTHORITY))? {
            Some(pem) => Ok(Http::trusting(pem.as_bytes())?),
            None => Ok(Http::new()?),
        }
    }

    /// Where the node is; none before the first sign-in.
    pub(super) fn node_url(&self) -> Result<Option<String>, Box<dyn Error>> {
        let Some(text) = files::read(&self.folder.join(NODE))? else { return Ok(None) };
        let node: Node = serde_json::from_str(&text).map_err(|_| format!("{NODE} of the profile is broken"))?;
        Ok(Some(node.url))
    }

    /// Says where the node is from now on, and whose certificates are trusted: one authority's, in PEM, and no other's, or
    /// those that were before.
    pub(super) fn set_node(&self, url: &str, authority: Option<&str>) -> Result<(), Box<dyn Error>> {
        files::make_folder(&self.folder)?;
        if let Some(pem) = authority {
            files::write(&self.folder.join(AUTHORITY), pem)?;
        }
        let text = serde_json::to_string(&Node { url: url.to_owned() })?;
        Ok(files::write(&self.folder.join(NODE), &text)?)
    }

    pub(super) fn folder(&self) -> String {
        self.folder.display().to_string()
    }

    fn store_path(&self) -> PathBuf {
        self.folder.join(STORE)
    }

    fn no_device(&self) -> CliError {
        CliError::NoDevice { folder: self.folder() }
    }
}

const STORE: &str = "device.store";
const NODE: &str = "node.json";
const AUTHORITY: &str = "authority.pem";
