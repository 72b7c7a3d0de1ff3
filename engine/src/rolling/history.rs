//! The way of files: all of history, as much of it in memory as is being worked on.
//!
//! Symbols are worked on side by side, while the next rows are read. What a
//! symbol's windows are for, its taker decides: it is given them in time order.

use std::collections::{BTreeMap, HashMap};

use model::schema::Value;
use model::time::Millis;
use model::{Candle, Candles};
use rayon::prelude::*;

use super::Rolling;
use super::track::Track;

/// So many bars of a symbol are taken in between two closings of its windows:
/// they and their terms stay in the processor's cache.
const BLOCK: usize = 1_024;

/// Windows of one symbol, in time order.
pub struct Windows<'a> {
    rolling: &'a Rolling,
    symbol: &'a str,
    starts: &'a [Millis],
    measured: &'a [f64],
}

impl Windows<'_> {
    /// The rows as values of the job's columns.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Value>> {
        self.starts
            .iter()
            .zip(self.measured())
            .map(|(start, measured)| self.rolling.row(self.symbol, *start, measured))
    }

    /// The measures of each window, in the order of the job's columns; NaN for none.
    pub fn measured(&self) -> impl Iterator<Item = &[f64]> {
        self.measured.chunks(self.measured.len().checked_div(self.starts.len()).unwrap_or(1).max(1))
    }

    /// The starts of the windows.
    pub fn starts(&self) -> &[Millis] {
        self.starts
    }
}

/// A file whose bars of a symbol do not all come in time order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disordered;

/// Runs a job over bars that are read piece by piece, of which each symbol's
/// come in time order, however symbols are mixed. What is held in memory does
/// not depend on how many there are. Every symbol has its own taker; they are
/// given back by symbol.
///
/// # Errors
/// At the first bar that comes after a later one of its symbol, or twice: then
/// [`in_any_order`] is left. What takers have been given is to be forgotten.
pub fn in_order<T: Send>(
    rolling: &Rolling,
    pieces: impl Iterator<Item = Vec<Candles>> + Send,
    taker: impl Fn(&str) -> T + Sync,
    take: impl Fn(&mut T, &Windows<'_>) + Sync,
) -> Result<BTreeMap<String, T>, Disordered> {
    let mut pieces = pieces;
    let (mut places, mut runs) = (HashMap::new(), Vec::new());
    let mut piece = pieces.next();
    while let Some(candles) = piece {
        for batch in &candles {
            for symbol in batch.symbols() {
                places.entry(symbol.clone()).or_insert_with(|| {
                    runs.push(Run::new(symbol, taker(symbol)));
                    runs.len() - 1
                });
            }
        }
        let (next, done) = rayon::join(
            || pieces.next(),
            || {
                by_symbol(&candles, &places, &mut runs).into_par_iter().try_for_each(|(run, bars)| {
                    bars.iter().try_for_each(|bars| run.go_on(rolling, bars, &take))
                })
            },
        );
        done?;
        piece = next;
    }
    runs.par_iter_mut().for_each(|run| run.finish(rolling, &take));
    Ok(runs.into_iter().map(|run| (run.symbol, run.taker)).collect())
}

/// Runs a job over bars in any order, of which some may be repeated or
/// corrected; all of them are held in memory.
pub fn in_any_order<T: Send>(
    rolling: &Rolling,
    pieces: impl Iterator<Item = Vec<Candles>>,
    taker: impl Fn(&str) -> T + Sync,
    take: impl Fn(&mut T, &Windows<'_>) + Sync,
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
            settle(&mut bars);
            let mut run = Run::new(&symbol, taker(&symbol));
            // Settled bars are in order.
            let _ = run.go_on(rolling, &bars, &take);
            run.finish(rolling, &take);
            (symbol, run.taker)
        })
        .collect()
}

/// Time order, and of the versions of a bar the last received; of equal ones
/// the last in the file.
fn settle(bars: &mut Vec<Candle>) {
    bars.sort_by_key(|bar| (bar.start_timestamp, bar.received_timestamp));
    bars.dedup_by(|later, kept| {
        let same = later.start_timestamp == kept.start_timestamp;
        if same {
            *kept = *later;
        }
        same
    });
}

/// The bars of each symbol of a piece, batch by batch, beside the symbol's run.
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

/// One symbol on its way through history.
struct Run<T> {
    symbol: String,
    track: Track,
    /// Windows that start before this have been given.
    next_start: Millis,
    starts: Vec<Millis>,
    measured: Vec<f64>,
    taker: T,
}

impl<T> Run<T> {
    fn new(symbol: &str, taker: T) -> Run<T> {
        Run {
            symbol: symbol.to_owned(),
            track: Track::default(),
            next_start: Millis::MIN / 2,
            starts: Vec::new(),
            measured: Vec::new(),
            taker,
        }
    }

    /// Takes bars in, and gives the windows that no later bar can be in.
    fn go_on(
        &mut self,
        rolling: &Rolling,
        bars: &[Candle],
        take: impl Fn(&mut T, &Windows<'_>),
    ) -> Result<(), Disordered> {
        for block in bars.chunks(BLOCK) {
            for bar in block {
                if !self.track.ends_before(bar.start_timestamp) {
                    return Err(Disordered);
                }
                self.track.push(rolling.hop.slide_of(bar.start_timestamp), *bar);
            }
            let Some(last) = block.last() else { continue };
            self.close(rolling, rolling.hop.first_start(last.start_timestamp) - rolling.hop.slide, &take);
        }
        Ok(())
    }

    /// Gives what is left.
    fn finish(&mut self, rolling: &Rolling, take: impl Fn(&mut T, &Windows<'_>)) {
        self.close(rolling, Millis::MAX / 4, take);
    }

    fn close(&mut self, rolling: &Rolling, last_start: Millis, take: impl Fn(&mut T, &Windows<'_>)) {
        let Run { starts, measured, .. } = self;
        starts.clear();
        measured.clear();
        self.track.windows(rolling.hop, self.next_start..=last_start, |start, bars| {
            starts.push(start);
            rolling.measure(bars, measured);
        });
        if !starts.is_empty() {
            take(&mut self.taker, &Windows { rolling, symbol: &self.symbol, starts, measured });
        }
        self.next_start = self.next_start.max(last_start + rolling.hop.slide);
        self.track.forget_before(self.next_start);
    }
}
