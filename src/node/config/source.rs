//! Where settings come from: a file, the environment, or the program's defaults.

use std::path::Path;

use config::{Config, ConfigError as ReadError, Environment, File, FileFormat, Source as _, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::error::ConfigError;

/// What stands before the name of a setting in the environment: `CONCLAVE__SERVER__ADDRESS`.
const PREFIX: &str = "CONCLAVE";
const SEPARATOR: &str = "__";

/// Settings that hold a list; in the environment its parts are separated by commas.
const LISTS: &[&str] = &["server.origins", "sign_in.redirect_urls", "turn.urls"];

/// The environment that overrides the file.
#[derive(Clone, Debug)]
pub enum Environ {
    /// That of the process.
    Process,
    /// These variables, by name and value.
    Given(Vec<(String, String)>),
}

/// The file, if there is one, and the environment: later ones override earlier ones.
pub(super) struct Sources(Vec<Source>);

struct Source {
    /// What an error names it.
    origin: String,
    values: Config,
}

impl Sources {
    /// Reads the sources, and refuses settings that do not exist.
    pub(super) fn read(file: Option<&Path>, environ: Environ, known: &[&str]) -> Result<Self, ConfigError> {
        let mut sources = Vec::new();
        if let Some(path) = file {
            let origin = path.display().to_string();
            let values = Config::builder().add_source(File::from(path).format(FileFormat::Toml)).build();
            let values = values.map_err(|source| ConfigError::File { path: origin.clone(), source: source.into() })?;
            sources.push(Source { origin, values });
        }
        let values = Config::builder().add_source(environment(environ)).build();
        let values = values.map_err(|source| ConfigError::Environment { source: source.into() })?;
        sources.push(Source { origin: "the environment".to_owned(), values });
        for source in &sources {
            source.refuse_unknown(known)?;
        }
        Ok(Self(sources))
    }

    /// The value of a setting in the last source that has it.
    pub(super) fn value<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, ConfigError> {
        for Source { origin, values } in self.0.iter().rev() {
            match values.get(key) {
                Ok(value) => return Ok(Some(value)),
                Err(ReadError::NotFound(_)) => {}
                Err(source) => {
                    return Err(ConfigError::Value { origin: origin.clone(), key, reason: reason(&source) });
                }
            }
        }
        Ok(None)
    }

    /// Which source a setting's value is from.
    pub(super) fn origin(&self, key: &str) -> &str {
        let has_key = |source: &&Source| source.values.get::<Value>(key).is_ok();
        self.0.iter().rev().find(has_key).map_or("the defaults", |source| &source.origin)
    }
}

impl Source {
    fn refuse_unknown(&self, known: &[&str]) -> Result<(), ConfigError> {
        let table = self
            .values
            .collect()
            .map_err(|source| ConfigError::File { path: self.origin.clone(), source: source.into() })?;
        let mut keys: Vec<String> = table.into_iter().flat_map(|(name, value)| names(&name, value)).collect();
        keys.sort();
        match keys.into_iter().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(ConfigError::Unknown { origin: self.origin.clone(), key }),
        }
    }
}

/// The settings of a section and of those in it; of anything else, its own name.
fn names(key: &str, value: Value) -> Vec<String> {
    match value.kind {
        ValueKind::Table(settings) if !settings.is_empty() => {
            settings.into_iter().flat_map(|(name, value)| names(&format!("{key}.{name}"), value)).collect()
        }
        ValueKind::Table(_) => Vec::new(),
        _ => vec![key.to_owned()],
    }
}

fn environment(environ: Environ) -> Environment {
    let environment = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .try_parsing(true)
        .list_separator(",");
    let environment = LISTS.iter().fold(environment, |environment, key| environment.with_list_parse_key(key));
    match environ {
        Environ::Process => environment,
        Environ::Given(variables) => environment.source(Some(variables.into_iter().collect())),
    }
}

/// What is wrong with a value, without its key and source: those are named beside it.
fn reason(error: &ReadError) -> String {
    match error {
        ReadError::At { error, .. } => reason(error),
        ReadError::Type { unexpected, expected, .. } => format!("{unexpected} stands where {expected} is expected"),
        other => other.to_string(),
    }
}
