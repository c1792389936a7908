//! Secrets among the settings. They are read, used and wiped, and stand in no print, log or error.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::error::ConfigError;
use crate::wire::SecretText;

/// Stands in print for a secret that is set. It is no secret itself: reading it back is an error.
const HIDDEN: &str = "(hidden)";

/// Bytes of a file that holds a secret: secrets of providers have less than 200.
const FILE_BYTES_MAX: usize = 4_096;

/// The secret by which a provider or a server knows the node. Empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSecret(Option<SecretText>);

impl ClientSecret {
    /// A secret that is known when the settings are made.
    #[must_use]
    pub fn new(secret: SecretText) -> Self {
        Self(Some(secret).filter(|secret| !secret.expose().is_empty()))
    }

    /// The secret, or what the file holds; white space at its ends does not count.
    pub(super) fn or_file(&self, file: &SecretFile, key: &'static str) -> Result<Option<SecretText>, ConfigError> {
        let error = |reason| ConfigError::Value { origin: "the settings".to_owned(), key, reason };
        match (&self.0, file.path()) {
            (secret, None) => Ok(secret.clone()),
            (Some(_), Some(_)) => Err(error("there is the secret itself too: only one of them may be set".to_owned())),
            (None, Some(path)) => read(path).map(Some).map_err(|reason| error(format!("{}: {reason}", path.display()))),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the settings name the file")]
fn read(path: &Path) -> Result<SecretText, String> {
    // Room for all of it: bytes that moved when the text grew would not be wiped.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX + 1));
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("over {FILE_BYTES_MAX} bytes"));
    }
    match text.trim() {
        "" => Err("empty".to_owned()),
        secret => Ok(SecretText::new(secret.to_owned())),
    }
}

impl Serialize for ClientSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_some() { HIDDEN } else { "" })
    }
}

impl<'de> Deserialize<'de> for ClientSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = SecretText::deserialize(deserializer)?;
        if secret.expose() == HIDDEN {
            return Err(de::Error::custom("`config print` shows this in place of a secret; give the secret itself"));
        }
        Ok(Self::new(secret))
    }
}

/// The path of a file that holds a secret. Empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    /// A file.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    fn path(&self) -> Option<&Path> {
        Some(self.0.as_path()).filter(|path| !path.as_os_str().is_empty())
    }
}
