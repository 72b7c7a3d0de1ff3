//! The late records of the last days. A row that the engine emits again after
//! a restart knows nothing of them, and must not have the last word.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wire::time::{DAY, MINUTE, Millis};
use wire::topic::Topic;

use crate::error::SinkError;
use crate::progress::Note;
use crate::ranges::Ranges;

/// How long late records are remembered, in time of appends: as long as the log
/// keeps records from which a row could be emitted again.
const REMEMBERED: Millis = 7 * DAY;

const PREFIX: &str = "sink/late/";

/// The minutes of late records, by topic, symbol and day.
#[derive(Debug, Default)]
pub(crate) struct LateMinutes {
    days: BTreeMap<String, BTreeMap<String, BTreeMap<Millis, Day>>>,
    changed: BTreeSet<(String, String, Millis)>,
}

/// What came late for one day of one symbol.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Day {
    /// When the last of it was appended to the log.
    appended_at: Millis,
    minutes: Ranges,
}

impl LateMinutes {
    pub(crate) async fn load(store: &store::SharedStore) -> Result<LateMinutes, SinkError> {
        let mut late = LateMinutes::default();
        for (key, value) in store.notes(PREFIX).await? {
            // A symbol may hold slashes; it comes last.
            let mut parts = key[PREFIX.len()..].splitn(3, '/');
            let (Some(topic), Some(Ok(day)), Some(symbol)) =
                (parts.next(), parts.next().map(str::parse::<Millis>), parts.next())
            else {
                continue;
            };
            let read = serde_json::from_str(&value)
                .map_err(|source| SinkError::Note { key: key.clone(), source })?;
            late.days_of(topic, symbol).insert(day, read);
        }
        Ok(late)
    }

    /// Remembers that something of `minute` came late.
    pub(crate) fn remember(&mut self, topic: &Topic, symbol: &str, minute: Millis, appended_at: Millis) {
        let number = minute.div_euclid(DAY);
        let day = self.days_of(topic.name(), symbol).entry(number).or_default();
        let more = day.minutes.insert(minute, minute + MINUTE);
        // The time may be rough: it only decides when the day is forgotten.
        if more || appended_at > day.appended_at + DAY {
            day.appended_at = day.appended_at.max(appended_at);
            self.changed.insert((topic.name().to_owned(), symbol.to_owned(), number));
        }
    }

    /// Whether something came late for a range of times, of a symbol or of any.
    pub(crate) fn meets(&self, topic: &Topic, symbol: Option<&str>, from: Millis, to: Millis) -> bool {
        let Some(symbols) = self.days.get(topic.name()) else { return false };
        let touches = |days: &BTreeMap<Millis, Day>| {
            days.range(from.div_euclid(DAY)..=to.div_euclid(DAY)).any(|(_, day)| day.minutes.meets(from, to))
        };
        match symbol {
            Some(symbol) => symbols.get(symbol).is_some_and(touches),
            None => symbols.values().any(touches),
        }
    }

    /// Forgets what was appended long before `now`, the time of the latest append.
    pub(crate) fn forget(&mut self, now: Millis) {
        for (topic, symbols) in &mut self.days {
            for (symbol, days) in symbols.iter_mut() {
                days.retain(|number, day| {
                    let keep = day.appended_at >= now - REMEMBERED;
                    if !keep {
                        self.changed.insert((topic.clone(), symbol.clone(), *number));
                    }
                    keep
                });
            }
            symbols.retain(|_, days| !days.is_empty());
        }
    }

    /// What has changed since the last call, as notes.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        let changed = std::mem::take(&mut self.changed);
        let note = |(topic, symbol, number): (String, String, Millis)| {
            let day = self.days.get(&topic).and_then(|symbols| symbols.get(&symbol)?.get(&number));
            (
                format!("{PREFIX}{topic}/{number}/{symbol}"),
                day.and_then(|day| serde_json::to_string(day).ok()),
            )
        };
        changed.into_iter().map(note).collect()
    }

    fn days_of(&mut self, topic: &str, symbol: &str) -> &mut BTreeMap<Millis, Day> {
        self.days.entry(topic.to_owned()).or_default().entry(symbol.to_owned()).or_default()
    }
}
