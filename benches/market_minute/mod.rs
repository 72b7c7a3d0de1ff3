//! A minute of the whole market: every symbol's bar within one second over a
//! real WebSocket, through the producer, into the embedded log.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use anyhow::ensure;
use clap::Args;
use control::shutdown::{Shutdown, ShutdownHandle, channel};
use control::watchlist::{EVERY_SYMBOL, Entry, put};
use log::{EmbeddedLog, Log};
use model::Bar;
use model::time::{MINUTE, Millis, minute_of, now};
use model::topic::STOCK_PRICES;
use producer::{FeedSettings, PriceSource};
use serde_json::Value;
use tempfile::TempDir;
use testkit::massive::{Feed, History, KEY, MinuteBar, Script};
use tokio::runtime::{Builder, Runtime};

use crate::figures::{Figure, Goal, forget_peak, memory, peak_memory, processor_time};

/// What the feed's threads are called, which are no part of the product.
const FEED: &str = "feed";
/// How long a minute may take before something must be broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// Records read at once.
const AT_ONCE: usize = 5_000;
/// Bars further ahead of their receipt are refused: further minutes are corrections of earlier ones.
const DIFFERENT: usize = 10;

/// How much of it.
#[derive(Args, Clone, Debug)]
pub struct Wanted {
    /// Symbols of the market.
    #[arg(long, default_value_t = 12_000)]
    symbols: usize,
    /// Minutes, one after the other.
    #[arg(long, default_value_t = 20)]
    minutes: usize,
    /// Frames that bring a minute, spread over its time.
    #[arg(long, default_value_t = 120)]
    frames: usize,
    /// Seconds over which they are spread
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

impl Wanted {
    /// So many minutes in frames of 1,000 bars, each as fast as it is taken.
    pub fn in_large_frames(symbols: usize, minutes: usize) -> Wanted {
        Wanted { symbols, minutes, frames: symbols.div_ceil(1_000), seconds: 0.0 }
    }
}

/// What came out.
pub struct Answer {
    wanted: Wanted,
    before: u64,
    minutes: Vec<Minute>,
    /// Records of bars in the log in the end.
    records: usize,
}

struct Minute {
    /// From the first frame until every bar could be read from the log.
    wall: Duration,
    /// Of everything but the feed.
    processor: Duration,
    /// KiB while it was at work, and afterwards.
    peak: u64,
    after: u64,
}

/// Plays the minutes.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let outside = Builder::new_multi_thread().worker_threads(1).thread_name(FEED).enable_all().build()?;
    let product = Builder::new_multi_thread().enable_all().build()?;
    let place = Place::start(&outside, &product)?;
    let before = memory()?;
    let base = minute_of(now()) - MINUTE;
    let minutes = (0..wanted.minutes)
        .map(|number| place.play(&outside, &product, wanted, base, number))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let records = product.block_on(place.check(wanted))?;
    place.stopper.ask(Shutdown::Stop);
    Ok(Answer { wanted: wanted.clone(), before, minutes, records })
}

/// The feed, and a producer that follows it.
struct Place {
    _folder: TempDir,
    _history: History,
    feed: Feed,
    log: Arc<EmbeddedLog>,
    stopper: ShutdownHandle,
}

impl Place {
    fn start(outside: &Runtime, product: &Runtime) -> anyhow::Result<Place> {
        let (feed, history) =
            outside.block_on(async { (Feed::start(Script::default()).await, History::start(KEY).await) });
        let folder = tempfile::tempdir()?;
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1)?);
        let polygon = producer::feed("polygon").context("there is no such feed")?;
        let settings = FeedSettings {
            websocket_url: feed.url(),
            rest_url: history.url(),
            api_key: net::Secret::new(KEY),
            feed_delay: Duration::ZERO,
            ..polygon.description().settings()
        };
        let every = Entry { symbol: Some(EVERY_SYMBOL.into()), ..Entry::default() };
        let (stopper, stop) = channel();
        product.block_on(put(&*log, 0, vec![every], "benchmark"))?;
        let prices = PriceSource::Live { feed: polygon, settings };
        product.spawn(producer::run(log.clone(), prices, stop));
        outside.block_on(feed.until_pairs(&["AM.*"]));
        Ok(Place { _folder: folder, _history: history, feed, log, stopper })
    }

    /// Sends minute `number` within a second and waits until all of it is in the log.
    fn play(
        &self,
        outside: &Runtime,
        product: &Runtime,
        wanted: &Wanted,
        base: Millis,
        number: usize,
    ) -> anyhow::Result<Minute> {
        let start = base + (number % DIFFERENT) as Millis * MINUTE;
        let frames = frames(wanted, start, 100.0 + number as f64);
        let held = product.block_on(self.written())?;
        forget_peak()?;
        let (begun, used) = (Instant::now(), processor_time(FEED)?);
        let pause = Duration::from_secs_f64(wanted.seconds) / wanted.frames.max(1) as u32;
        outside.block_on(async {
            for (at, frame) in (0..).zip(frames) {
                tokio::time::sleep_until((begun + pause * at).into()).await;
                self.feed.text(frame);
            }
        });
        while product.block_on(self.written())? < held + wanted.symbols as u64 {
            ensure!(begun.elapsed() < PATIENCE, "minute {number} never arrives whole");
            std::thread::sleep(Duration::from_millis(2));
        }
        let (wall, processor) = (begun.elapsed(), processor_time(FEED)? - used);
        Ok(Minute { wall, processor, peak: peak_memory()?, after: memory()? })
    }

    /// Records on the topic; one a minute is a clock's.
    async fn written(&self) -> anyhow::Result<u64> {
        Ok(self.log.extents(&STOCK_PRICES).await?.last().map_or(0, |extent| extent.next))
    }

    /// Counts what the log holds: every symbol of every minute, and nothing twice.
    async fn check(&self, wanted: &Wanted) -> anyhow::Result<usize> {
        let (due, mut from) = (wanted.symbols * wanted.minutes, 0);
        let mut held = HashSet::with_capacity(due);
        loop {
            let records = self.log.read(&STOCK_PRICES, 0, from, AT_ONCE).await?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            for record in &records {
                let bar: Bar = serde_json::from_slice(&record.value)?;
                if !bar.is_heartbeat() {
                    let version = (bar.symbol, bar.start_timestamp, bar.open.to_bits());
                    ensure!(held.insert(version), "the log has a bar twice");
                }
            }
        }
        ensure!(held.len() == due, "the log has {} bars of {due}", held.len());
        Ok(due)
    }
}

/// The events of one minute, in frames.
pub fn frames(wanted: &Wanted, start: Millis, price: f64) -> Vec<String> {
    let bars: Vec<MinuteBar> =
        (0..wanted.symbols).map(|i| MinuteBar::new(&format!("S{i}"), start, price, 1_000.0)).collect();
    let of_a_frame = wanted.symbols.div_ceil(wanted.frames.max(1)).max(1);
    let frame = |bars: &[MinuteBar]| Value::Array(bars.iter().map(MinuteBar::event).collect()).to_string();
    bars.chunks(of_a_frame).map(frame).collect()
}

impl Answer {
    /// Bars a second of processor time.
    pub fn a_core(&self) -> f64 {
        let used: f64 = self.minutes.iter().map(|minute| minute.processor.as_secs_f64()).sum();
        self.records as f64 / used
    }
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let slowest = self.minutes.iter().map(|minute| minute.wall).max().unwrap_or_default();
        let peak = self.minutes.iter().map(|minute| minute.peak).max().unwrap_or_default();
        vec![
            Figure::measured(
                "a minute of the market is in the log after, slowest",
                slowest.as_secs_f64(),
                "s",
                Goal::None,
            ),
            Figure::measured("bars from the socket to the log, a core", self.a_core(), "bars/s", Goal::None),
            Figure::measured("peak memory", peak as f64 / 1_024.0, "MiB", Goal::None),
        ]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { symbols, minutes, frames, seconds } = &self.wanted;
        writeln!(f, "{minutes} minutes of {symbols} symbols, each within {seconds} s in {frames} frames")?;
        writeln!(f, "memory before: {:.1} MiB", mebibytes(self.before))?;
        writeln!(f, "minute  in the log after  processor time  peak memory  memory then")?;
        for (number, minute) in (1..).zip(&self.minutes) {
            writeln!(
                f,
                "{number:6}  {:14.3} s  {:12.2} s  {:7.1} MiB  {:7.1} MiB",
                minute.wall.as_secs_f64(),
                minute.processor.as_secs_f64(),
                mebibytes(minute.peak),
                mebibytes(minute.after),
            )?;
        }
        write!(f, "all {} bars are in the log, none twice", self.records)
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1_024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_market_arrives_whole() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { symbols: 300, minutes: 3, frames: 7, seconds: 1.0 }).unwrap();
        assert_eq!((answer.records, answer.minutes.len()), (900, 3));
        assert!(answer.to_string().contains("all 900 bars are in the log"), "{answer}");
    }
}
