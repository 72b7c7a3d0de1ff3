//! Dead letters that validate after all: back onto the topic that they were meant for.

use serde::{Deserialize, Serialize};

use super::DeadLetter;
use crate::article::{Article, BadArticle};
use crate::bar::{BadBar, Bar};
use crate::log::{Append, Log, LogError, Record, last_records, partition_of};
use crate::outlet;
use crate::source::Source;
use crate::time::{self, MINUTE, Millis, minute_of};
use crate::topic::DEAD_LETTERS;

/// What a letter holds when it is read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// For `stock-prices`.
    Bar(Box<Bar>),
    /// For `news-articles`.
    Article(Box<Article>),
}

/// A letter with the events that it holds: of an article, one for every entry that wants it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// The partition of `dead-letters`.
    pub partition: u32,
    /// The offset there.
    pub offset: u64,
    /// What it holds.
    pub events: Vec<Event>,
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum NotReplayed {
    /// No letter there.
    #[error("there is no dead letter at offset {0}: `tickwire dead-letters list` shows what there is")]
    NoLetter(u64),
    /// The events have nothing to do with the letter.
    #[error("the dead letter at offset {0} does not hold what is to be replayed from it")]
    OtherEvent(u64),
    /// A bar that still does not validate.
    #[error("the dead letter at offset {offset} is still no bar: {reason}")]
    Bar {
        /// Its offset.
        offset: u64,
        /// The rule that it breaks.
        reason: BadBar,
    },
    /// An article that still does not validate.
    #[error("the dead letter at offset {offset} is still no article: {reason}")]
    Article {
        /// Its offset.
        offset: u64,
        /// The rule that it breaks.
        reason: BadArticle,
    },
    /// An event from a time that is still to come, which would carry the clock away.
    #[error("the dead letter at offset {offset} is dated {}, which lies ahead of the clock", time::rfc3339(*.at))]
    Ahead {
        /// Its offset.
        offset: u64,
        /// Its event time.
        at: Millis,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Live events may be dated so far ahead of the clock: clocks differ.
const AHEAD: Millis = 10 * MINUTE;

/// Appends what letters hold to their topics, all of it or nothing; returns how
/// many events that were. They are as late as they are: the results that they
/// touch are computed again. What was replayed before counts once.
///
/// # Errors
/// For the first letter that is not there or holds no good event, and when the log fails.
pub async fn replay(log: &dyn Log, replays: Vec<Replay>) -> Result<usize, NotReplayed> {
    let (mut bars, mut articles) = (Vec::new(), Vec::new());
    for Replay { partition, offset, events } in replays {
        let letter = letter_at(log, partition, offset).await?.ok_or(NotReplayed::NoLetter(offset))?;
        for event in events {
            check(&letter, offset, &event)?;
            match event {
                Event::Bar(bar) => bars.push(*bar),
                Event::Article(article) => articles.push(*article),
            }
        }
    }
    let count = bars.len() + articles.len();
    let mut appends =
        placed(log, bars, |bar, until, position| Bar { complete_until: until, position, ..bar }).await?;
    let place = |article, until, position| Article { complete_until: until, position, ..article };
    appends.extend(placed(log, articles, place).await?);
    log.append(appends).await?;
    Ok(count)
}

async fn letter_at(log: &dyn Log, partition: u32, offset: u64) -> Result<Option<DeadLetter>, LogError> {
    let records = log.read(&DEAD_LETTERS, partition, offset, 1).await?;
    let record = records.first().filter(|record| record.offset == offset);
    Ok(record.and_then(|record| serde_json::from_slice(&record.value).ok()))
}

fn check(letter: &DeadLetter, offset: u64, event: &Event) -> Result<(), NotReplayed> {
    let (mark, at, live) = match event {
        Event::Bar(bar) => {
            bar.check().map_err(|reason| NotReplayed::Bar { offset, reason })?;
            (&bar.symbol, bar.start_timestamp, is_live(bar.source))
        }
        Event::Article(article) => {
            article.check().map_err(|reason| NotReplayed::Article { offset, reason })?;
            (&article.id, article.published_timestamp, is_live(article.source))
        }
    };
    // In a feed's event, in a row of a file, or, where an answer is about one symbol, in the source.
    let as_json = serde_json::to_string(mark).unwrap_or_default();
    let forms = [mark.as_str(), as_json.trim_matches('"')];
    let is_held = forms.iter().any(|mark| letter.event.contains(mark) || letter.source.contains(mark));
    let is_clock = matches!(event, Event::Article(article) if article.is_clock());
    if is_clock || !is_held {
        return Err(NotReplayed::OtherEvent(offset));
    }
    if live && at > time::now() + AHEAD {
        return Err(NotReplayed::Ahead { offset, at });
    }
    Ok(())
}

fn is_live(source: Source) -> bool {
    !matches!(source, Source::Replay | Source::Simulation)
}

/// The records of events in the order of time. Each states what the last record
/// of its partition states: a letter that comes late says nothing of its own.
async fn placed<T: outlet::Event>(
    log: &dyn Log,
    mut events: Vec<T>,
    place: impl Fn(T, Millis, Option<u64>) -> T,
) -> Result<Vec<Append>, LogError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    events.sort_by(|one, other| one.order().cmp(&other.order()));
    let tails = last_records(log, &T::TOPIC).await?;
    let read = |record: &Option<Record>| serde_json::from_slice::<T>(&record.as_ref()?.value).ok();
    let tails: Vec<_> = tails.iter().map(read).collect();
    Ok(events
        .into_iter()
        .map(|event| {
            let tail = &tails[partition_of(event.key(), log.partitions()) as usize];
            let (until, position) = match tail {
                Some(tail) => (tail.complete_until(), tail.position()),
                None => (minute_of(event.order().0), None),
            };
            let event = place(event, until, position);
            Append::json(T::TOPIC, event.key(), &event)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::tests::good;
    use crate::clock;
    use crate::log::EmbeddedLog;
    use crate::topic::STOCK_PRICES;

    const EVENT: &[u8] = br#"{"sym":"AAPL"}"#;

    async fn log_with_letter() -> (tempfile::TempDir, EmbeddedLog) {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
        log.append(vec![DeadLetter::new("polygon", "why", EVENT, 1).to_append()]).await.unwrap();
        (folder, log)
    }

    fn of(bar: Bar) -> Vec<Replay> {
        vec![Replay { partition: 0, offset: 0, events: vec![Event::Bar(Box::new(bar))] }]
    }

    #[tokio::test]
    async fn a_letter_goes_back_to_its_topic_and_leaves_the_clock_where_it_is() {
        let (_folder, log) = log_with_letter().await;
        let at = 3_000 * MINUTE;
        let clock = Bar { position: Some(7), ..clock::bar(0, at) };
        log.append(vec![Append::json(STOCK_PRICES, &clock.symbol, &clock)]).await.unwrap();
        let bar = Bar { complete_until: i64::MAX, ..good() };
        assert_eq!(replay(&log, of(bar.clone())).await.unwrap(), 1);
        let records = log.read(&STOCK_PRICES, 0, 1, 10).await.unwrap();
        let back: Bar = serde_json::from_slice(&records[0].value).unwrap();
        assert_eq!(back, Bar { complete_until: at, position: Some(7), ..bar });
    }

    #[tokio::test]
    async fn what_is_not_there_not_good_or_still_to_come_is_not_replayed() {
        let (_folder, log) = log_with_letter().await;
        let ahead = Bar {
            start_timestamp: 4_000_000_000_000,
            end_timestamp: 4_000_000_060_000,
            source: Source::Polygon,
            ..good()
        };
        for (bar, said) in [
            (Bar { symbol: "MSFT".into(), ..good() }, "does not hold"),
            (Bar { volume: -1.0, ..good() }, "still no bar: volume is -1"),
            (ahead, "ahead of the clock"),
        ] {
            let error = replay(&log, of(bar)).await.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let elsewhere = vec![Replay { offset: 5, ..of(good()).remove(0) }];
        assert!(matches!(replay(&log, elsewhere).await, Err(NotReplayed::NoLetter(5))));
        assert!(log.extents(&STOCK_PRICES).await.unwrap().is_empty());
    }
}
