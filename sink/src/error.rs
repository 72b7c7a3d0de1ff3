//! What can go wrong in the sink.

use engine::EngineError;
use store::{NoSuchRecord, StoreError};
use wire::log::LogError;

/// What can go wrong in the sink. Single records that are wrong are no error:
/// they go to the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Windows could not be computed again.
    #[error("windows of `{job}` could not be computed again: {source}")]
    Compute {
        /// The job.
        job: String,
        /// The engine's words.
        source: EngineError,
    },
    /// The stored bars or articles are none.
    #[error("the store does not hold what was put there: {0}. Use another data folder, and tell us")]
    Stored(#[from] NoSuchRecord),
    /// A note of ours that does not read.
    #[error(
        "the note `{key}` in the store does not read: {source}. The store was changed from outside; use another data folder"
    )]
    Note {
        /// The note's key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
