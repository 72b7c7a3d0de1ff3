//! History brought in on request.

use model::Source;
use model::time::{DAY, HOUR, MINUTE, SECOND};
use model::topic::STOCK_PRICES;
use testkit::massive::{Answer, MinuteBar, Script};

use super::place::{OPEN, Place, bar};
use crate::ProducerError;
use crate::polygon::PolygonFeed;
use feed::price::{Backfilled, PriceFeed, backfill};

const MONTHS: i64 = 75 * DAY;

/// A history with a bar a day of each symbol.
async fn daily(symbols: &[&str]) -> Place {
    let place = Place::new(Script::default(), symbols).await;
    for symbol in symbols {
        let day = |day: i64| MinuteBar { start: OPEN - MONTHS + day * DAY, ..bar(symbol, 0) };
        place.history.add(&(0..75).map(day).collect::<Vec<_>>());
    }
    place
}

async fn run(place: &Place, symbols: &[&str]) -> (Result<Backfilled, ProducerError>, Vec<String>) {
    let symbols: Vec<String> = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
    let mut said = Vec::new();
    let (log, clock, config) = (place.log.clone(), place.clock.clone(), place.config.clone());
    let feed = PolygonFeed::new(config).unwrap();
    let brought = backfill(clock, log, feed, &symbols, OPEN - MONTHS, OPEN, |progress| {
        said.push(format!("{} {}/{} {}", progress.symbol, progress.done, progress.of, progress.bars));
    })
    .await;
    (brought.map_err(ProducerError::from), said)
}

#[tokio::test]
async fn stretches_are_brought_symbol_by_symbol_with_progress() {
    let place = daily(&["AAPL", "MSFT"]).await;
    let (brought, said) = run(&place, &["AAPL", "MSFT"]).await;
    assert_eq!(brought.unwrap(), Backfilled { bars: 150, ..Backfilled::default() });
    assert_eq!(said[0], "AAPL 0/6 0");
    assert_eq!(said.last().unwrap(), "MSFT 6/6 150");
    let bars = place.until_bars(150).await;
    assert!(bars.iter().all(|bar| bar.source == Source::PolygonHistory));
    assert!(bars.iter().all(|bar| bar.complete_until == OPEN - MONTHS));
    assert_eq!(place.history.calls().len(), 6);
}

#[tokio::test]
async fn where_it_was_interrupted_it_goes_on() {
    let place = daily(&["AAPL", "MSFT"]).await;
    place.history.answer([Answer::Usual, Answer::Usual, Answer::Usual, Answer::Usual]);
    let refused = r#"{"status":"NOT_AUTHORIZED","message":"This timeframe is not in your plan"}"#;
    place.history.answer([Answer::Status(403, refused.into(), None)]);
    let (brought, _) = run(&place, &["AAPL", "MSFT"]).await;
    let error = brought.unwrap_err().to_string();
    assert!(error.contains("This timeframe is not in your plan") && error.contains("later time"), "{error}");
    let (brought, said) = run(&place, &["AAPL", "MSFT"]).await;
    assert_eq!(brought.unwrap(), Backfilled { bars: 45, skipped: 4, ..Backfilled::default() });
    assert_eq!(said.last().unwrap(), "MSFT 6/6 45");
    assert_eq!(place.until_bars(150).await.len(), 150);
    let (again, _) = run(&place, &["AAPL", "MSFT"]).await;
    assert_eq!(again.unwrap(), Backfilled { skipped: 6, ..Backfilled::default() });
}

#[tokio::test]
async fn what_is_brought_beside_live_prices_does_not_move_their_time() {
    let mut place = daily(&["AAPL"]).await;
    place.start();
    place.until_state("running").await;
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    place.stop().await;
    run(&place, &["AAPL"]).await.0.unwrap();
    let records: Vec<model::Bar> = place.all(&STOCK_PRICES).await;
    let mut brought = records.iter().filter(|bar| bar.start_timestamp < OPEN - HOUR);
    assert!(brought.all(|bar| bar.complete_until == OPEN));
    place.pass(MINUTE);
    place.start();
    place.until_complete(1).await;
}
