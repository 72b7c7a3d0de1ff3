//! How many bars a second come from frames of the feed into the log, and how fast
//! is a frame read, beside reading it by way of a tree of JSON?

use std::fmt;

use anyhow::Context;
use clap::Args;
use model::time::{MINUTE, Millis};
use model::{Bar, Source};
use serde_json::Value;

use crate::figures::{Figure, Goal, Spent, Stopwatch};
use crate::market_minute;

/// 2024-01-02 at 14:30 in UTC.
const START: Millis = 1_704_205_800_000;

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Symbols, in frames of 1,000
    #[arg(long, default_value_t = 12_000)]
    symbols: usize,
    /// Minutes of each, as fast as they are taken
    #[arg(long, default_value_t = 40)]
    minutes: usize,
    /// How often each frame is read to compare the two ways
    #[arg(long, default_value_t = 50)]
    rounds: usize,
}

/// What came out.
pub struct Answer {
    to_the_log: market_minute::Answer,
    /// Bars that either way has read.
    bars: usize,
    ours: Spent,
    tree: Spent,
}

/// From the socket to the log, then reading alone.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let large = market_minute::Wanted::in_large_frames(wanted.symbols, wanted.minutes);
    let to_the_log = market_minute::run(&large)?;
    let frames = market_minute::frames(&large, START, 100.25);
    for frame in &frames {
        anyhow::ensure!(ours(frame)? == by_tree(frame, START)?, "the two ways read something else");
    }
    let bars = wanted.symbols * wanted.rounds;
    let (ours, tree) =
        (rounds(wanted, &frames, ours)?, rounds(wanted, &frames, |frame| by_tree(frame, START))?);
    Ok(Answer { to_the_log, bars, ours, tree })
}

fn ours(frame: &str) -> anyhow::Result<Vec<Bar>> {
    producer::bars_of_frame(frame, START).map_err(anyhow::Error::msg)
}

fn rounds(
    wanted: &Wanted,
    frames: &[String],
    read: impl Fn(&str) -> anyhow::Result<Vec<Bar>>,
) -> anyhow::Result<Spent> {
    let watch = Stopwatch::start()?;
    let mut bars = 0;
    for frame in frames.iter().cycle().take(frames.len() * wanted.rounds) {
        bars += read(frame)?.len();
    }
    anyhow::ensure!(bars == wanted.symbols * wanted.rounds, "{bars} bars were read");
    watch.stop()
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let ratio = self.tree.processor.as_secs_f64() / self.ours.processor.as_secs_f64();
        vec![
            Figure::measured(
                "frames of 1,000 bars from the socket to the log, a core",
                self.to_the_log.a_core(),
                "bars/s",
                Goal::AtLeast(300e3),
            ),
            Figure::measured(
                "reading and checking alone, a core",
                self.ours.a_core(self.bars),
                "bars/s",
                Goal::None,
            ),
            Figure::measured("times as fast as by way of serde_json::Value", ratio, "", Goal::AtLeast(4.0)),
        ]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.to_the_log)?;
        let rate = |spent: &Spent| spent.a_core(self.bars) / 1e6;
        writeln!(f, "reading alone: {:.2} M bars a second of processor time", rate(&self.ours))?;
        writeln!(f, "by way of a tree: {:.2} M bars a second of processor time", rate(&self.tree))
    }
}

// The same bars, the usual way: the whole frame as a tree of JSON first.

/// The minute bars of a frame, checked.
fn by_tree(frame: &str, received: Millis) -> anyhow::Result<Vec<Bar>> {
    let events: Value = serde_json::from_str(frame)?;
    let events = events.as_array().context("a frame is an array")?;
    events.iter().filter(|event| event["ev"] == "AM").map(|event| bar(event, received)).collect()
}

fn bar(event: &Value, received: Millis) -> anyhow::Result<Bar> {
    let number = |name: &str| event[name].as_f64().with_context(|| format!("no `{name}`"));
    let start = number("s")? as Millis;
    let bar = Bar {
        symbol: event["sym"].as_str().context("no `sym`")?.to_owned(),
        open: number("o")?,
        high: number("h")?,
        low: number("l")?,
        close: number("c")?,
        vwap: event["vw"].as_f64(),
        volume: number("v")?,
        accumulated_volume: event["av"].as_f64(),
        official_open_price: event["op"].as_f64(),
        aggregate_vwap: event["a"].as_f64(),
        average_size: event["z"].as_f64(),
        start_timestamp: start,
        end_timestamp: event["e"].as_f64().map_or(start + MINUTE, |end| end as Millis),
        otc: event["otc"].as_bool(),
        source: Source::Polygon,
        received_timestamp: received,
        complete_until: 0,
        position: None,
    };
    bar.check()?;
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_read_the_same_bars_and_all_reach_the_log() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { symbols: 1_200, minutes: 2, rounds: 1 }).unwrap();
        assert!(answer.to_string().contains("all 2400 bars are in the log"), "{answer}");
    }
}
