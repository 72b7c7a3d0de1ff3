//! Benchmarks: `benches QUESTION` measures and prints; see the README beside each.

mod market_minute;
mod streaming;
mod usage;
mod viewers;
mod volatility;
mod watchlist_changes;

use clap::Parser;

/// Which question to answer.
#[derive(Parser)]
enum Question {
    /// A minute of the whole market, from the feed's socket into the log.
    MarketMinute(market_minute::Wanted),
    /// Many who watch the live page at once.
    Viewers(viewers::Wanted),
    /// Changes of the watchlist in a row, and what they leave behind.
    WatchlistChanges(watchlist_changes::Wanted),
    /// The engine from log to log, with windows of two lengths.
    Streaming(streaming::Wanted),
    /// `compute volatility` over a year of the whole market, beside Polars.
    Volatility(volatility::Wanted),
}

fn main() -> anyhow::Result<()> {
    match Question::parse() {
        Question::MarketMinute(wanted) => market_minute::run(&wanted).map(|answer| println!("{answer}")),
        Question::Viewers(wanted) => viewers::run(&wanted).map(|answer| println!("{answer}")),
        Question::Streaming(wanted) => streaming::run(&wanted).map(|answer| print!("{answer}")),
        Question::Volatility(wanted) => volatility::run(&wanted).map(|answer| print!("{answer}")),
        Question::WatchlistChanges(wanted) => {
            watchlist_changes::run(&wanted).map(|answer| println!("{answer}"))
        }
    }
}

/// What a process uses can be measured for one question at a time.
#[cfg(test)]
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
