//! Dead letters: what did not validate, to be read, downloaded and replayed.

pub(crate) mod api;
pub(crate) mod replay;

use std::fmt;
use std::str::FromStr;

use log::{Log, LogError, Record};
use model::DeadLetter;
use model::topic::DEAD_LETTERS;
use serde::Serialize;
use tokio::sync::Mutex;

/// Where a letter stands in the log: `PARTITION/OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Place {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let parts = text.split_once('/').and_then(|(partition, offset)| {
            Some(Place { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        parts.ok_or_else(|| "is no place of a dead letter: write it as 0/17".to_owned())
    }
}

/// A letter with its place.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Placed {
    #[serde(flatten)]
    pub(crate) place: Place,
    #[serde(flatten)]
    pub(crate) letter: DeadLetter,
    /// Whether the event is cut here; the letter by itself has more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cut: bool,
}

impl Placed {
    fn of(record: &Record) -> Option<Placed> {
        let place = Place { partition: record.partition, offset: record.offset };
        Some(Placed { place, letter: serde_json::from_slice(&record.value).ok()?, cut: false })
    }

    /// As it stands in a list.
    fn listed(mut self) -> Placed {
        if let Some((end, _)) = self.letter.event.char_indices().nth(LISTED_EVENT) {
            // Without the memory of the whole event.
            self.letter.event = self.letter.event[..end].to_owned();
            self.cut = true;
        }
        self
    }
}

/// So many letters are read at once; each may hold 256 KB.
pub(crate) const PAGE: usize = 8;
/// The most of an event in a list, in characters: a letter by itself has it whole.
const LISTED_EVENT: usize = 2_000;

/// The newest letters, at most `most`, and how many are kept in all. Long events
/// are cut ([`Placed::cut`]), so that a list is small whatever the letters hold.
pub(crate) async fn newest(log: &dyn Log, most: usize) -> Result<(Vec<Placed>, u64), LogError> {
    // One list is read at a time: what is read of it is not small.
    static READING: Mutex<()> = Mutex::const_new(());
    let _reading = READING.lock().await;
    let (mut letters, mut kept) = (Vec::new(), 0);
    for extent in log.extents(&DEAD_LETTERS).await? {
        kept += extent.next.saturating_sub(extent.first);
        // A marker of a transaction may follow each record, and takes an offset.
        let back = (most as u64).saturating_mul(2);
        let mut from = extent.first.max(extent.next.saturating_sub(back));
        while from < extent.next {
            let records = log.read(&DEAD_LETTERS, extent.partition, from, PAGE).await?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            letters.extend(records.iter().filter_map(Placed::of).map(Placed::listed));
        }
        letters.sort_by_key(|placed: &Placed| {
            std::cmp::Reverse((placed.letter.received_timestamp, placed.place))
        });
        letters.truncate(most);
    }
    Ok((letters, kept))
}

/// The letter at a place, if there is one.
pub(crate) async fn at(log: &dyn Log, place: Place) -> Result<Option<Placed>, LogError> {
    let known = log.extents(&DEAD_LETTERS).await?;
    if !known.iter().any(|extent| extent.partition == place.partition && place.offset < extent.next) {
        return Ok(None);
    }
    let records = log.read(&DEAD_LETTERS, place.partition, place.offset, 1).await?;
    Ok(records.iter().filter(|record| record.offset == place.offset).find_map(Placed::of))
}
