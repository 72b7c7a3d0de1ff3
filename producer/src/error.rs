//! What can end a producer before its source does.

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
    /// The feed or the history of Polygon.
    #[error(transparent)]
    Polygon(#[from] Refusal),
    /// The way out of this machine.
    #[error("requests to the outside cannot be made: {0}")]
    Outbound(#[from] net::HttpFailure),
    /// Polygon's addresses.
    #[error("`{0}` is no address of Polygon's {1}: {2}")]
    Address(String, &'static str, &'static str),
}

/// Why Polygon (Massive) will not serve; trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The feed does not know the key.
    #[error(
        "Polygon refuses the key (\"{0}\"): check POLYGON_API_KEY against the keys on your dashboard at massive.com, and start again"
    )]
    Key(String),
    /// The key's plan is without this feed.
    #[error(
        "the plan of the Polygon key does not include this feed (\"{0}\"): on a delayed plan set polygon.websocket_url to wss://delayed.massive.com/stocks; the free plan has no feed at all, so use another plan, or run without the key to simulate"
    )]
    Plan(String),
    /// The key's plan is without minute bars of what is watched.
    #[error(
        "the plan of the Polygon key does not include minute bars of what is watched (\"not authorized\"): watch symbols of the plan instead of `*`, check the market at the end of polygon.websocket_url, or use another plan"
    )]
    Topic,
    /// The key may not ask for history.
    #[error(
        "the Polygon key gives no access to this history (\"{0}\"): use a plan that has it, or ask for a later time"
    )]
    History(String),
    /// The history cannot be had just now.
    #[error("Polygon's history cannot be had: {0}; it goes on where it broke off when started again")]
    Unavailable(String),
}
