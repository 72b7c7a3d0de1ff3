//! The small sample of simulated data that ships with the repository: one session
//! of four symbols, and for a backtest several sessions of one.

use std::io::{self, Write};
use std::path::Path;

use chrono::NaiveDate;
use flate2::{Compression, GzBuilder};
use model::calendar::Phase;
use model::number::f64_text;

use crate::CALENDAR;
use crate::{Day, World};

/// The seed of the sample's market.
pub const SEED: u64 = 1;
/// The sample's session.
pub const DATE: NaiveDate = NaiveDate::from_ymd_opt(2024, 3, 4).expect("a date");
/// The sample's symbols.
pub const SYMBOLS: [&str; 4] = ["AAPL", "IBM", "SPY", "TSLA"];

/// The symbol of the backtest's sample.
pub const STUDIED: [&str; 1] = ["TSLA"];
/// So many sessions it has: enough for ten articles with quiet sessions before them.
pub const SESSIONS: usize = 18;

/// Writes `bars.csv` and `articles.csv` of one session into `folder`, which is made
/// where it is missing, and those of the backtest into its folder `backtest`, where
/// the bars are compressed with gzip.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let world = World::new(SEED);
    let first = [world.day(DATE).expect("the sample's date has a session")];
    std::fs::write(folder.join("bars.csv"), bars(&first, &SYMBOLS)?)?;
    std::fs::write(folder.join("articles.csv"), articles(&first, &SYMBOLS)?)?;
    let dates = std::iter::successors(Some(DATE), |date| Some(CALENDAR.next_session(*date).date));
    let days: Vec<Day> = dates.take(SESSIONS).filter_map(|date| world.day(date)).collect();
    let folder = folder.join("backtest");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("articles.csv"), articles(&days, &STUDIED)?)?;
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(&bars(&days, &STUDIED)?)?;
    std::fs::write(folder.join("bars.csv.gz"), packed.finish()?)
}

fn bars(days: &[Day], symbols: &[&str]) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["start_ms", "symbol", "open", "high", "low", "close", "volume"])?;
    let bars = days.iter().flat_map(|day| &day.bars);
    for bar in bars.filter(|bar| is_in_sample(symbols, &bar.symbol, bar.start_timestamp)) {
        let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(f64_text);
        table.write_field(bar.start_timestamp.to_string())?;
        table.write_field(&bar.symbol)?;
        table.write_record(&numbers)?;
    }
    table.into_inner().map_err(|error| error.into_error())
}

fn articles(days: &[Day], symbols: &[&str]) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "id",
        "symbol",
        "search_term",
        "headline",
        "url",
        "section_id",
        "section_name",
        "pillar",
        "published_timestamp",
    ])?;
    for article in days.iter().flat_map(|day| &day.articles) {
        let symbol = article.symbol.as_deref().unwrap_or_default();
        if !is_in_sample(symbols, symbol, article.published_timestamp) {
            continue;
        }
        table.write_record([
            &article.id,
            symbol,
            &article.search_term,
            &article.headline,
            &article.url,
            article.section_id.as_deref().unwrap_or_default(),
            article.section_name.as_deref().unwrap_or_default(),
            article.pillar.as_deref().unwrap_or_default(),
            &article.published_timestamp.to_string(),
        ])?;
    }
    table.into_inner().map_err(|error| error.into_error())
}

fn is_in_sample(symbols: &[&str], symbol: &str, at: model::time::Millis) -> bool {
    symbols.contains(&symbol) && CALENDAR.phase(at) == Phase::Regular
}
