//! What can end a producer before its source does.

use feed::price::FeedError;
use files::FileError;
use log::LogError;

/// Why a producer gave up.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file of a replay.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log continues a longer file than this one.
    #[error(
        "the log holds a replay of {written} rows, but {file} has only {rows}: it has been changed or is another file; put it back, or name another data folder with --data-dir"
    )]
    Shorter {
        /// The file's name.
        file: String,
        /// Its rows.
        rows: u64,
        /// The rows that the log has taken.
        written: u64,
    },
    /// The log holds the records of another market.
    #[error(
        "the log holds the {found}, not the {asked}: start it as it was, or name another data folder with --data-dir"
    )]
    OtherSource {
        /// What was started.
        asked: String,
        /// What the log holds.
        found: String,
    },
    /// A live feed.
    #[error(transparent)]
    Feed(#[from] FeedError),
}
