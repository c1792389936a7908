//! Why settings are refused.

use std::error::Error;

/// Why settings are refused. Each names where the setting stands, and which it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is not TOML.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The environment cannot be read.
    #[error("the environment: {source}")]
    Environment {
        /// What is wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no such setting.
    #[error("{origin}: {key}: there is no such setting (`conclave config print` shows all)")]
    Unknown {
        /// The file, or the environment.
        origin: String,
        /// The setting's full name.
        key: String,
    },
    /// The value is not one that the setting may have.
    #[error("{origin}: {key}: {reason}")]
    Value {
        /// The file, or the environment.
        origin: String,
        /// The setting's full name.
        key: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
    /// Two settings that do not go together.
    #[error("{origin}: {key}: {reason}")]
    Conflict {
        /// The file, the environment or the defaults.
        origin: String,
        /// The setting's full name.
        key: &'static str,
        /// Why not.
        reason: &'static str,
    },
}
