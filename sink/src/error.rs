//! The errors of the sink.

use engine::EngineError;
use log::LogError;
use store::StoreError;

/// An error of the sink. Invalid records are not errors; they become dead letters.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Windows could not be recomputed.
    #[error("windows of `{job}` could not be recomputed: {source}")]
    Compute {
        /// The name of the job.
        job: String,
        /// The error of the engine.
        source: EngineError,
    },
}
