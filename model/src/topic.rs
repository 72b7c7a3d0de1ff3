//! The topics of the log.

use std::borrow::Cow;

use crate::time::{DAY, Millis};

/// The name of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Cow<'static, str>);

/// Minute bars of stocks, keyed by symbol. Which topic a symbol's bars stand on, its
/// class says: [`crate::instrument::AssetClass::raw_topic`].
pub const STOCK_PRICES: Topic = Topic(Cow::Borrowed("stock-prices"));
/// Minute bars of crypto pairs, keyed by symbol.
pub const CRYPTO_PRICES: Topic = Topic(Cow::Borrowed("crypto-prices"));
/// Minute bars of pairs of currencies, keyed by symbol.
pub const CURRENCY_PRICES: Topic = Topic(Cow::Borrowed("currency-prices"));
/// Articles, keyed by symbol, else by search term.
pub const NEWS_ARTICLES: Topic = Topic(Cow::Borrowed("news-articles"));
/// What is watched; compacted, one key.
pub const WATCHLIST: Topic = Topic(Cow::Borrowed("watchlist"));
/// Every version of the watchlist, keyed by version.
pub const WATCHLIST_HISTORY: Topic = Topic(Cow::Borrowed("watchlist-history"));
/// The alert rules; compacted, one key.
pub const ALERT_RULES: Topic = Topic(Cow::Borrowed("alert-rules"));
/// Every version of the alert rules, keyed by version.
pub const ALERT_RULES_HISTORY: Topic = Topic(Cow::Borrowed("alert-rules-history"));
/// Episodes of alerts as they open and close, keyed by symbol.
pub const ALERTS: Topic = Topic(Cow::Borrowed("alerts"));
/// What the alerts have come to, keyed by partition of the signals; compacted.
pub const ALERT_STATE: Topic = Topic(Cow::Borrowed("alert-state"));
/// What each service says of itself; compacted, keyed by service.
pub const SERVICE_STATUS: Topic = Topic(Cow::Borrowed("service-status"));
/// What somebody wants to see a preview of, keyed by question.
pub const PREVIEW_QUESTIONS: Topic = Topic(Cow::Borrowed("preview-questions"));
/// The answers, keyed by question.
pub const PREVIEWS: Topic = Topic(Cow::Borrowed("previews"));
/// What is known to be missing from the topics of bars, keyed by symbol.
pub const GAPS: Topic = Topic(Cow::Borrowed("gaps"));
/// What did not validate, with its reason, keyed by source.
pub const DEAD_LETTERS: Topic = Topic(Cow::Borrowed("dead-letters"));

/// How long the records of a topic stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// As long as the settings say: what is derived from it is in the store.
    Data,
    /// For ever: it says who changed what, or what is missing, and is small.
    ForEver,
    /// Dead letters: [`LETTERS_LONGER`] than data, and at most [`LETTERS_BYTES`] a
    /// partition, the oldest going first. They exist nowhere else, and bytes from
    /// outside decide how many there are.
    Letters,
}

/// How much longer than data dead letters stay.
pub const LETTERS_LONGER: Millis = 90 * DAY;
/// How many bytes of dead letters are kept, in each partition.
pub const LETTERS_BYTES: u64 = 256 * 1024 * 1024;

/// Who took which lease, with a number that rises with each holder; compacted, keyed by lease.
pub const LEASES: Topic = Topic(Cow::Borrowed("leases"));
/// In which format a log on Kafka is written, and its number of partitions; compacted, one key.
pub const LOG_FORMAT: Topic = Topic(Cow::Borrowed("log-format"));

impl Topic {
    /// A topic by name, as a result topic named in `sql/`.
    pub fn new(name: impl Into<String>) -> Topic {
        Topic(Cow::Owned(name.into()))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The measurement that holds this topic's points: its name with `_` for `-`.
    pub fn measurement(&self) -> String {
        self.0.replace('-', "_")
    }

    /// How long its records stay; of a compacted topic the last of each key always does.
    pub fn stay(&self) -> Stay {
        match self.name() {
            "watchlist-history" | "alert-rules-history" | "gaps" => Stay::ForEver,
            "dead-letters" => Stay::Letters,
            _ => Stay::Data,
        }
    }

    /// Whether only the last record of each key is kept.
    pub fn is_compacted(&self) -> bool {
        matches!(
            self.name(),
            "watchlist" | "alert-rules" | "alert-state" | "service-status" | "leases" | "log-format"
        )
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
