//! What can go wrong in the sink.

use engine::EngineError;
use log::LogError;
use store::StoreError;

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
}
