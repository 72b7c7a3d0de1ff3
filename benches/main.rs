//! Benchmarks: `benches QUESTION` measures and prints; see the README beside each.

mod all;
mod appends;
mod closing_minute;
mod dashboard;
mod figures;
mod line_protocol;
mod log_to_store;
mod market_minute;
mod polygon_frames;
mod streaming;
mod viewers;
mod volatility;
mod watchlist_changes;
mod whole_program;

use std::fmt::Display;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use figures::Figure;

/// What is asked for.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    question: Question,
    /// Adds each number with its goal to this file, as lines of JSON
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    figures: Option<PathBuf>,
}

/// Which question to answer.
#[derive(Subcommand)]
enum Question {
    /// Every question in turn, and one table of what came out beside the goals.
    All(all::Wanted),
    /// Points to line protocol, beside two encoders of others.
    LineProtocol(line_protocol::Wanted),
    /// Frames of the feed from the socket into the log, and how fast they are read.
    PolygonFrames(polygon_frames::Wanted),
    /// Bars from Kafka through the sink, to a server that does nothing and to InfluxDB.
    LogToStore(log_to_store::Wanted),
    /// Appends to Kafka in transactions, beside plain ones.
    Appends(appends::Wanted),
    /// A minute of the whole market, from the feed's socket into the log.
    MarketMinute(market_minute::Wanted),
    /// A minute of the whole market, until its windows can be read from the store.
    ClosingMinute(closing_minute::Wanted),
    /// What the live page asks the store, beside DuckDB.
    Dashboard(dashboard::Wanted),
    /// The program itself: how soon its page answers, and its memory.
    WholeProgram(whole_program::Wanted),
    /// Many who watch the live page at once.
    Viewers(viewers::Wanted),
    /// Changes of the watchlist in a row, and what they leave behind.
    WatchlistChanges(watchlist_changes::Wanted),
    /// The engine from log to log, with windows of two lengths.
    Streaming(streaming::Wanted),
    /// `compute volatility` over a year of the whole market, beside Polars and pandas.
    Volatility(volatility::Wanted),
}

/// What came out: to be read, and as lines of a table.
trait Answer: Display {
    /// The numbers that have a goal, or stand beside one.
    fn figures(&self) -> Vec<Figure>;
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let answer = answer(&cli.question)?;
    println!("{answer}");
    match &cli.figures {
        Some(file) => figures::add_to(file, &answer.figures()),
        None => Ok(()),
    }
}

fn answer(question: &Question) -> anyhow::Result<Box<dyn Answer>> {
    Ok(match question {
        Question::All(wanted) => Box::new(all::run(wanted)?),
        Question::LineProtocol(wanted) => Box::new(line_protocol::run(wanted)?),
        Question::LogToStore(wanted) => Box::new(log_to_store::run(wanted)?),
        Question::Appends(wanted) => Box::new(appends::run(wanted)?),
        Question::PolygonFrames(wanted) => Box::new(polygon_frames::run(wanted)?),
        Question::ClosingMinute(wanted) => Box::new(closing_minute::run(wanted)?),
        Question::Dashboard(wanted) => Box::new(dashboard::run(wanted)?),
        Question::WholeProgram(wanted) => Box::new(whole_program::run(wanted)?),
        Question::MarketMinute(wanted) => Box::new(market_minute::run(wanted)?),
        Question::Viewers(wanted) => Box::new(viewers::run(wanted)?),
        Question::Streaming(wanted) => Box::new(streaming::run(wanted)?),
        Question::Volatility(wanted) => Box::new(volatility::run(wanted)?),
        Question::WatchlistChanges(wanted) => Box::new(watchlist_changes::run(wanted)?),
    })
}

/// What a process uses can be measured for one question at a time.
#[cfg(test)]
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
