//! Dead letters: what did not validate, to be read, downloaded and replayed.

pub(crate) mod api;
pub(crate) mod replay;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use wire::DeadLetter;
use wire::log::{Log, LogError, Record};
use wire::topic::DEAD_LETTERS;

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
}

impl Placed {
    fn of(record: &Record) -> Option<Placed> {
        let place = Place { partition: record.partition, offset: record.offset };
        Some(Placed { place, letter: serde_json::from_slice(&record.value).ok()? })
    }
}

/// The newest letters, at most `most`, and how many are kept in all.
pub(crate) async fn newest(log: &dyn Log, most: usize) -> Result<(Vec<Placed>, u64), LogError> {
    let (mut letters, mut kept) = (Vec::new(), 0);
    for extent in log.extents(&DEAD_LETTERS).await? {
        kept += extent.next - extent.first;
        let from = extent.first.max(extent.next.saturating_sub(most as u64));
        let records = log.read(&DEAD_LETTERS, extent.partition, from, most).await?;
        letters.extend(records.iter().filter_map(Placed::of));
    }
    letters.sort_by_key(|placed| std::cmp::Reverse((placed.letter.received_timestamp, placed.place)));
    letters.truncate(most);
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
