//! History brought into the log on request: stretch by stretch, and where it
//! was interrupted it goes on with the next one.

use std::sync::Arc;

use control::raw;
use log::time_bounds::last_good;
use log::{Append, Position, SharedLog, partition_of};
use model::time::{DAY, Millis};
use model::{Bar, Topic};

use super::history::{HistoryClient, Stretch};
use super::{FeedError, PriceFeed};
use crate::clock::SharedClock;

/// What is asked for at once: fewer minutes than fit on a page.
const STRETCH: Millis = 30 * DAY;

/// How far a backfill has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillProgress<'a> {
    /// The symbol at work.
    pub symbol: &'a str,
    /// Stretches done, those of earlier runs included.
    pub done: usize,
    /// Stretches in all.
    pub of: usize,
    /// Bars written in this run.
    pub bars: u64,
}

/// What a backfill has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Bars written in this run.
    pub bars: u64,
    /// Results that were no good bars and went to the dead letters.
    pub rejected: u64,
    /// Stretches that an earlier run had brought already.
    pub skipped: usize,
    /// Symbols that were asked for throughout, and of which nothing came.
    pub without_bars: Vec<String>,
}

/// Brings the minute bars of `symbols` whose starts lie in `from..to` into
/// `log`, marked as history of the feed, within the calls that the plan allows.
/// A run of the same symbols and times after an interruption goes on where that
/// one broke off; a bar that comes twice counts once.
///
/// # Errors
/// When the log fails, or the history refuses or does not answer in the end.
pub async fn backfill<F: PriceFeed>(
    clock: SharedClock,
    log: SharedLog,
    feed: F,
    symbols: &[String],
    from: Millis,
    to: Millis,
    mut progress: impl FnMut(BackfillProgress<'_>) + Send,
) -> Result<Backfilled, FeedError> {
    let feed = Arc::new(feed);
    let topic = F::DESCRIPTION.class.raw_topic();
    let client = HistoryClient::new(feed.clone(), clock)?;
    let writer = Writer::open(log.clone(), topic, from).await?;
    let each = stretches(from, to);
    let (mut brought, mut done, of) = (Backfilled::default(), 0, each.len() * symbols.len());
    for symbol in symbols {
        let marks = Marks::of(&log, symbol, from, to).await?;
        let before = (brought.bars, brought.rejected, brought.skipped);
        for (from, to) in &each {
            progress(BackfillProgress { symbol, done, of, bars: brought.bars });
            if *to <= marks.done {
                brought.skipped += 1;
            } else {
                let stretch = Stretch { symbol: symbol.clone(), from: *from, to: *to };
                let (bars, rejected) = bring(&feed, &client, &writer, &stretch).await?;
                brought.bars += bars;
                brought.rejected += rejected;
                marks.set(&writer, *to).await?;
            }
            done += 1;
        }
        progress(BackfillProgress { symbol, done, of, bars: brought.bars });
        if before == (brought.bars, brought.rejected, brought.skipped) {
            brought.without_bars.push(symbol.clone());
        }
    }
    Ok(brought)
}

/// `from..to` in parts that are asked for one by one.
fn stretches(from: Millis, to: Millis) -> Vec<(Millis, Millis)> {
    let starts = (0..).map(|i| from + i * STRETCH).take_while(|start| *start < to);
    starts.map(|start| (start, to.min(start + STRETCH))).collect()
}

/// Writes the bars of a stretch page by page; returns how many were good and bad.
async fn bring<F: PriceFeed>(
    feed: &Arc<F>,
    client: &HistoryClient<F>,
    writer: &Writer,
    stretch: &Stretch,
) -> Result<(u64, u64), FeedError> {
    let (mut bars, mut rejected) = (0, 0);
    let mut pages = client.pages(stretch);
    while let Some(page) = pages.next().await.map_err(|failure| FeedError::History(feed.explain(&failure)))? {
        bars += page.bars.len() as u64;
        rejected += page.rejected;
        let records = page.bars.iter().map(|bar| writer.record(bar));
        let letters = page.letters.iter().map(model::DeadLetter::to_append);
        writer.log.append(records.chain(letters).collect()).await?;
    }
    Ok((bars, rejected))
}

/// Writes old bars without moving event time.
struct Writer {
    log: SharedLog,
    topic: Topic,
    /// What each partition states.
    complete_until: Vec<Millis>,
}

impl Writer {
    async fn open(log: SharedLog, topic: Topic, from: Millis) -> Result<Writer, FeedError> {
        let mut complete_until = Vec::new();
        for bar in last_good(&*log, &topic, raw::read::<Bar>).await? {
            complete_until.push(bar.map_or(from, |bar| bar.complete_until));
        }
        Ok(Writer { log, topic, complete_until })
    }

    fn record(&self, bar: &Bar) -> Append {
        let partition = partition_of(&bar.symbol, self.log.partitions()) as usize;
        let complete_until = self.complete_until[partition];
        Append::json(self.topic.clone(), &bar.symbol, &Bar { complete_until, ..bar.clone() })
    }
}

/// How far an earlier run of the same backfill came, kept with the log as a reader's note.
struct Marks {
    reader: String,
    done: Millis,
}

impl Marks {
    async fn of(log: &SharedLog, symbol: &str, from: Millis, to: Millis) -> Result<Marks, FeedError> {
        let reader = format!("backfill {symbol} {from} {to}");
        let notes = log.committed(&reader).await?;
        let done =
            notes.iter().filter_map(|position| position.note.parse().ok()).max().unwrap_or(Millis::MIN);
        Ok(Marks { reader, done })
    }

    async fn set(&self, writer: &Writer, done: Millis) -> Result<(), FeedError> {
        let mut reader = writer.log.reader(&self.reader, std::slice::from_ref(&writer.topic)).await?;
        let position =
            Position { topic: writer.topic.clone(), partition: 0, offset: 0, note: done.to_string() };
        Ok(reader.commit(vec![position]).await?)
    }
}
