//! Validates the records of control topics, to which other programs may append.
//!
//! An invalid record is skipped where it is read, with one warning. The sink stores it as a
//! dead letter; it reads each topic under one reader, so that each record becomes one dead
//! letter. Other services only log the warning.

use log::Record;
use model::topic::{
    ALERT_RULES, ALERT_RULES_HISTORY, PREVIEW_QUESTIONS, PREVIEWS, Topic, WATCHLIST, WATCHLIST_HISTORY,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::preview::{Preview, Question};
use crate::rules::Rule;
use crate::watchlist::Entry;

/// The control topics: versioned lists, their histories, and previews.
pub const CONTROL: [Topic; 6] =
    [WATCHLIST, WATCHLIST_HISTORY, ALERT_RULES, ALERT_RULES_HISTORY, PREVIEW_QUESTIONS, PREVIEWS];

/// The largest valid version of a list. Versions count the changes that people make from 1 on,
/// so a larger one is not a count.
pub const MAX_VERSION: u64 = 1_000_000_000;

/// Checks that a record of a topic in [`CONTROL`] has the format of that topic.
///
/// # Errors
/// Why the record is invalid.
pub fn check(record: &Record) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Version<E> {
        version: u64,
        #[serde(rename = "entries")]
        _entries: Vec<E>,
    }
    fn read<T: DeserializeOwned>(record: &Record, what: &str) -> Result<T, String> {
        serde_json::from_slice(&record.value).map_err(|error| format!("not {what}: {error}"))
    }
    fn version(version: u64) -> Result<(), String> {
        match version {
            1..=MAX_VERSION => Ok(()),
            _ => Err(format!("version {version} is not between 1 and {MAX_VERSION}")),
        }
    }
    let topic = &record.topic;
    if *topic == WATCHLIST || *topic == WATCHLIST_HISTORY {
        version(read::<Version<Entry>>(record, "a watchlist")?.version)
    } else if *topic == ALERT_RULES || *topic == ALERT_RULES_HISTORY {
        version(read::<Version<Rule>>(record, "a list of alert rules")?.version)
    } else if *topic == PREVIEW_QUESTIONS {
        read::<Question>(record, "a question for a preview").map(drop)
    } else if *topic == PREVIEWS {
        read::<Preview>(record, "a preview").map(drop)
    } else {
        read::<IgnoredAny>(record, "JSON").map(drop)
    }
}
