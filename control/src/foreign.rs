//! Records that others put onto topics of ours: each is judged where it is read, passed
//! over when it is not what belongs there, and told once.
//!
//! The sink keeps such records as dead letters; it reads every topic with a position of
//! its own, so each becomes one letter. Whoever else meets one only warns.

use log::Record;
use model::topic::{
    ALERT_RULES, ALERT_RULES_HISTORY, PREVIEW_QUESTIONS, PREVIEWS, Topic, WATCHLIST, WATCHLIST_HISTORY,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::preview::{Preview, Question};
use crate::rules::Rule;
use crate::watchlist::Entry;

/// The topics of control: who changes what, who asks what.
pub const CONTROL: [Topic; 6] =
    [WATCHLIST, WATCHLIST_HISTORY, ALERT_RULES, ALERT_RULES_HISTORY, PREVIEW_QUESTIONS, PREVIEWS];

/// A list starts at version 1 and counts changes, which people make: a version beyond
/// this was not reached by counting.
pub const MOST_VERSIONS: u64 = 1_000_000_000;

/// Whether a record of one of [`CONTROL`] is what belongs there.
///
/// # Errors
/// Says what it is not.
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
            1..=MOST_VERSIONS => Ok(()),
            _ => Err(format!("version {version} is not between 1 and {MOST_VERSIONS}")),
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
