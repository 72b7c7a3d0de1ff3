//! The small sample of simulated data that ships with the repository: one session of four symbols.

use std::io;
use std::path::Path;

use chrono::NaiveDate;
use wire::calendar::{Phase, phase};
use wire::number::f64_text;

use crate::{Day, World};

/// The seed of the sample's market.
pub const SEED: u64 = 1;
/// The sample's session.
pub const DATE: NaiveDate = NaiveDate::from_ymd_opt(2024, 3, 4).expect("a date");
/// The sample's symbols.
pub const SYMBOLS: [&str; 4] = ["AAPL", "IBM", "SPY", "TSLA"];

/// Writes `bars.csv` and `articles.csv` into `folder`, which is made where it is missing.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let day = World::new(SEED).day(DATE).expect("the sample's date has a session");
    std::fs::write(folder.join("bars.csv"), bars(&day)?)?;
    std::fs::write(folder.join("articles.csv"), articles(&day)?)
}

fn bars(day: &Day) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["start_ms", "symbol", "open", "high", "low", "close", "volume"])?;
    for bar in day.bars.iter().filter(|bar| is_in_sample(&bar.symbol, bar.start_timestamp)) {
        let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(f64_text);
        table.write_field(bar.start_timestamp.to_string())?;
        table.write_field(&bar.symbol)?;
        table.write_record(&numbers)?;
    }
    table.into_inner().map_err(|error| error.into_error())
}

fn articles(day: &Day) -> io::Result<Vec<u8>> {
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
    for article in &day.articles {
        let symbol = article.symbol.as_deref().unwrap_or_default();
        if !is_in_sample(symbol, article.published_timestamp) {
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

fn is_in_sample(symbol: &str, at: wire::time::Millis) -> bool {
    SYMBOLS.contains(&symbol) && phase(at) == Phase::Regular
}
