//! Computes a rolling job over files of any length: symbols in parallel, while the next rows
//! are read.
//!
//! A consumer per symbol receives the windows of its symbol in time order. If the bars of each
//! symbol are in time order, only the open windows are in memory; otherwise all bars are.

use std::collections::{BTreeMap, HashMap};

use model::schema::Value;
use model::time::Millis;
use model::{Candle, Candles};
use rayon::prelude::*;

use super::Rolling;
use super::track::Track;

/// How many bars of a symbol are added between two closings of its windows; they and their
/// terms stay in the cache of the processor.
const BLOCK: usize = 1_024;

/// Windows of one symbol, in time order.
pub struct Windows<'a> {
    rolling: &'a Rolling,
    symbol: &'a str,
    starts: &'a [Millis],
    measured: &'a [f64],
}

impl Windows<'_> {
    /// The rows, as values of the columns of the job.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Value>> {
        self.starts
            .iter()
            .zip(self.measured())
            .map(|(start, measured)| self.rolling.row(self.symbol, *start, measured))
    }

    /// The measures of each window, in the order of the columns of the job; NaN for NULL.
    pub fn measured(&self) -> impl Iterator<Item = &[f64]> {
        self.measured.chunks(self.measured.len().checked_div(self.starts.len()).unwrap_or(1).max(1))
    }

    /// The starts of the windows (event time, ms).
    pub fn starts(&self) -> &[Millis] {
        self.starts
    }
}

/// The error for a file in which the bars of a symbol are repeated or not in time order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unordered;

/// Runs a job over bars that are read in pieces. The bars of each symbol must be in time order;
/// symbols may alternate in any way. The memory does not depend on the number of bars.
/// `consumer` makes the consumer of a symbol, which receives its windows through `consume`; the
/// result holds all consumers by symbol.
///
/// # Errors
/// At the first bar that is not after the previous bar of its symbol. What the consumers have
/// received is then invalid, and [`in_any_order`] can be used instead.
pub fn in_order<T: Send>(
    rolling: &Rolling,
    pieces: impl Iterator<Item = Vec<Candles>> + Send,
    consumer: impl Fn(&str) -> T + Sync,
    consume: impl Fn(&mut T, &Windows<'_>) + Sync,
) -> Result<BTreeMap<String, T>, Unordered> {
    let mut pieces = pieces;
    let (mut places, mut runs) = (HashMap::new(), Vec::new());
    let mut piece = pieces.next();
    while let Some(candles) = piece {
        for batch in &candles {
            for symbol in batch.symbols() {
                places.entry(symbol.clone()).or_insert_with(|| {
                    runs.push(Run::new(symbol, consumer(symbol)));
                    runs.len() - 1
                });
            }
        }
        let (next, done) = rayon::join(
            || pieces.next(),
            || {
                by_symbol(&candles, &places, &mut runs).into_par_iter().try_for_each(|(run, bars)| {
                    bars.iter().try_for_each(|bars| run.add(rolling, bars, &consume))
                })
            },
        );
        done?;
        piece = next;
    }
    runs.par_iter_mut().for_each(|run| run.finish(rolling, &consume));
    Ok(runs.into_iter().map(|run| (run.symbol, run.consumer)).collect())
}

/// Runs a job over bars in any order, some of which may be repeated or corrected; all of them
/// are held in memory.
pub fn in_any_order<T: Send>(
    rolling: &Rolling,
    pieces: impl Iterator<Item = Vec<Candles>>,
    consumer: impl Fn(&str) -> T + Sync,
    consume: impl Fn(&mut T, &Windows<'_>) + Sync,
) -> BTreeMap<String, T> {
    let mut bars: BTreeMap<String, Vec<Candle>> = BTreeMap::new();
    for batch in pieces.flatten() {
        let mut of_batch: Vec<Vec<Candle>> = vec![Vec::new(); batch.symbols().len()];
        batch.rows().iter().for_each(|(place, bar)| of_batch[*place as usize].push(*bar));
        for (symbol, found) in batch.symbols().iter().zip(of_batch) {
            bars.entry(symbol.clone()).or_default().extend(found);
        }
    }
    bars.into_par_iter()
        .map(|(symbol, mut bars)| {
            sort_and_deduplicate(&mut bars);
            let mut run = Run::new(&symbol, consumer(&symbol));
            // Cannot fail, because the bars are in order now.
            let _ = run.add(rolling, &bars, &consume);
            run.finish(rolling, &consume);
            (symbol, run.consumer)
        })
        .collect()
}

/// Sorts bars by time and keeps one version of each: the one received last, and of equal ones
/// the last in the file.
fn sort_and_deduplicate(bars: &mut Vec<Candle>) {
    bars.sort_by_key(|bar| (bar.start_timestamp, bar.received_timestamp));
    bars.dedup_by(|later, kept| {
        let same = later.start_timestamp == kept.start_timestamp;
        if same {
            *kept = *later;
        }
        same
    });
}

/// The bars of each symbol of a piece, batch by batch, with the run of the symbol.
fn by_symbol<'r, T>(
    piece: &[Candles],
    places: &HashMap<String, usize>,
    runs: &'r mut [Run<T>],
) -> Vec<(&'r mut Run<T>, Vec<Vec<Candle>>)> {
    let mut of_symbol: Vec<Vec<Vec<Candle>>> = vec![Vec::new(); runs.len()];
    for batch in piece {
        let mut counts = vec![0; batch.symbols().len()];
        batch.rows().iter().for_each(|(place, _)| counts[*place as usize] += 1);
        let mut of_batch: Vec<Vec<Candle>> = counts.into_iter().map(Vec::with_capacity).collect();
        batch.rows().iter().for_each(|(place, bar)| of_batch[*place as usize].push(*bar));
        for (symbol, bars) in batch.symbols().iter().zip(of_batch) {
            of_symbol[places[symbol]].push(bars);
        }
    }
    runs.iter_mut().zip(of_symbol).filter(|(_, bars)| !bars.is_empty()).collect()
}

/// The state of one symbol.
struct Run<T> {
    symbol: String,
    track: Track,
    /// Windows that start before this have been passed to the consumer.
    next_start: Millis,
    starts: Vec<Millis>,
    measured: Vec<f64>,
    consumer: T,
}

impl<T> Run<T> {
    fn new(symbol: &str, consumer: T) -> Run<T> {
        Run {
            symbol: symbol.to_owned(),
            track: Track::default(),
            next_start: Millis::MIN / 2,
            starts: Vec::new(),
            measured: Vec::new(),
            consumer,
        }
    }

    /// Adds bars, and passes on the windows that no later bar can be in.
    fn add(
        &mut self,
        rolling: &Rolling,
        bars: &[Candle],
        consume: impl Fn(&mut T, &Windows<'_>),
    ) -> Result<(), Unordered> {
        for block in bars.chunks(BLOCK) {
            for bar in block {
                if !self.track.ends_before(bar.start_timestamp) {
                    return Err(Unordered);
                }
                self.track.push(rolling.hop.slide_of(bar.start_timestamp), *bar);
            }
            let Some(last) = block.last() else { continue };
            self.close(rolling, rolling.hop.first_start(last.start_timestamp) - rolling.hop.slide, &consume);
        }
        Ok(())
    }

    /// Passes on the remaining windows.
    fn finish(&mut self, rolling: &Rolling, consume: impl Fn(&mut T, &Windows<'_>)) {
        self.close(rolling, Millis::MAX / 4, consume);
    }

    fn close(&mut self, rolling: &Rolling, last_start: Millis, consume: impl Fn(&mut T, &Windows<'_>)) {
        let Run { starts, measured, .. } = self;
        starts.clear();
        measured.clear();
        self.track.windows(rolling.hop, self.next_start..=last_start, |start, bars| {
            starts.push(start);
            rolling.measure(bars, measured);
        });
        if !starts.is_empty() {
            consume(&mut self.consumer, &Windows { rolling, symbol: &self.symbol, starts, measured });
        }
        self.next_start = self.next_start.max(last_start + rolling.hop.slide);
        self.track.forget_before(self.next_start);
    }
}
