//! What can end a news-watcher before it is asked to end.

use files::FileError;
use log::LogError;

/// Why a news-watcher gave up.
#[derive(Debug, thiserror::Error)]
pub enum NewsError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file of a replay.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log continues a longer file than this one.
    #[error(
        "the log holds a replay of {written} articles, but {file} has only {articles}: it has been changed or is another file; put it back, or name another data folder with --data-dir"
    )]
    Shorter {
        /// The file's name.
        file: String,
        /// Its articles.
        articles: u64,
        /// The articles that the log has taken.
        written: u64,
    },
    /// The address of the Guardian's Content API.
    #[error("guardian.url is `{0}`: it takes an address such as https://content.guardianapis.com")]
    GuardianAddress(String),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] net::HttpFailure),
}
