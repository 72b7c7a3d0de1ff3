//! Why the service cannot go on.

use wire::log::LogError;

/// What ends [`crate::run`].
#[derive(Debug, thiserror::Error)]
pub enum AlertsError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What was noted of an earlier run does not read back.
    #[error(
        "what the alerts have come to (topic alert-state, key {key}) cannot be read: {source}. Was it written by a newer tickwire? Run that one, or name another data folder with --data-dir"
    )]
    State {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
