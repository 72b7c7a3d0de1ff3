//! What is complete, holes that are filled from history, and gaps that remain.

use std::sync::Arc;
use std::time::Duration;

use log::SharedLog;
use model::Source;
use model::time::{DAY, HOUR, MINUTE, SECOND};
use model::topic::{GAPS, STOCK_PRICES};
use testkit::massive::{Answer, MinuteBar, Script};

use super::place::{Gate, OPEN, Place, bar};

/// Running, with the first minute complete and one bar in the log.
async fn settled(symbols: &[&str]) -> Place {
    let place = Place::running(symbols).await;
    settle(&place).await;
    place
}

async fn settle(place: &Place) {
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    place.feed.bars(&[bar("AAPL", 0)]);
    place.until_bars(1).await;
    place.pass(MINUTE);
    place.until_complete(1).await;
}

async fn lose(place: &Place) {
    place.feed.refuse(true);
    place.feed.drop_connections();
    place.until_state("waiting for the feed").await;
}

async fn reconnect(place: &Place) {
    place.feed.refuse(false);
    place.pass_until("connected again", || !place.feed.pairs().is_empty()).await;
}

#[tokio::test]
async fn after_a_reconnect_the_hole_is_filled_and_time_has_waited_for_it() {
    let place = settled(&["AAPL"]).await;
    lose(&place).await;
    place.history.add(&[bar("AAPL", 0), bar("AAPL", 1)]);
    place.pass(MINUTE);
    reconnect(&place).await;
    place.until_complete(2).await;
    let outline = place.outline().await;
    assert_eq!(outline[2..], ["0 AAPL <0", "1 ~clock0 <1", "1 AAPL <1", "2 ~clock0 <2"]);
    let bars = place.until_bars(2).await;
    assert_eq!((bars[0].source, bars[1].source), (Source::Polygon, Source::PolygonHistory));
    assert!(place.all::<model::Gap>(&GAPS).await.is_empty());
}

#[tokio::test]
async fn a_correction_that_was_sent_meanwhile_is_fetched_too() {
    let place = settled(&["AAPL"]).await;
    lose(&place).await;
    place.history.add(&[MinuteBar { volume: 99.0, ..bar("AAPL", 0) }]);
    reconnect(&place).await;
    let bars = place.until_bars(2).await;
    assert_eq!((bars[1].start_timestamp, bars[1].volume), (OPEN, 99.0));
}

#[tokio::test]
async fn after_the_wait_time_goes_on_with_a_gap_that_ends_once_filled() {
    let place = settled(&["AAPL"]).await;
    lose(&place).await;
    for _ in 0..9 {
        place.pass(MINUTE);
        tokio::task::yield_now().await;
    }
    place.until_complete(8).await;
    let gaps = place.until_gaps(1).await;
    let gap = gaps.last().unwrap();
    assert_eq!((gap.symbol.as_str(), gap.from), ("AAPL", OPEN + MINUTE));
    assert!(gap.to > gap.from && gap.reason.contains("the feed is down"), "{gap:?}");
    place.history.add(&(0..10).map(|minute| bar("AAPL", minute)).collect::<Vec<_>>());
    reconnect(&place).await;
    place.until_bars(10).await;
    place
        .until("the gap filled", GAPS, |all: &[model::Gap]| all.last().is_some_and(model::Gap::is_filled))
        .await;
    place.until_complete(10).await;
}

#[tokio::test]
async fn without_access_to_history_gaps_are_recorded_and_it_is_asked_only_once() {
    let place = Place::new(Script::default(), &["AAPL"]).await;
    place.history.always(Some(Answer::not_entitled()));
    let mut place = place;
    place.start();
    place.until_state("running").await;
    settle(&place).await;
    lose(&place).await;
    place.pass(MINUTE);
    reconnect(&place).await;
    place.until_complete(2).await;
    let gaps = place.until_gaps(2).await;
    let gap = gaps.last().unwrap();
    assert_eq!((gap.from, gap.to), (OPEN + MINUTE, OPEN + 2 * MINUTE));
    assert!(gap.reason.contains("not entitled"), "{}", gap.reason);
    assert_eq!(place.history.calls().len(), 1);
}

#[tokio::test]
async fn after_downtime_bars_come_from_history_and_then_the_missing_minutes() {
    let mut place = settled(&["AAPL"]).await;
    place.stop().await;
    place.history.add(&(1..180).map(|minute| bar("AAPL", minute)).collect::<Vec<_>>());
    place.pass(3 * HOUR - MINUTE);
    place.start();
    place.until_complete(180).await;
    assert_eq!(place.until_bars(180).await.len(), 180);
    let outline = place.outline().await;
    let clocks: Vec<_> = outline.iter().skip(3).filter(|line| line.contains('~')).cloned().collect();
    assert_eq!(clocks, (1..=180).map(|minute| format!("{minute} ~clock0 <{minute}")).collect::<Vec<_>>());
    assert!(
        outline.iter().rev().take(179).all(|line| line.contains('~')),
        "the bars come before their clocks"
    );
}

#[tokio::test]
async fn of_a_downtime_over_two_days_the_first_hour_and_the_last_day_get_clocks() {
    let mut place = settled(&["AAPL"]).await;
    place.kill().await;
    place.pass(5 * DAY);
    place.start();
    place.until_complete(5 * 24 * 60 + 1).await;
    let clocks = place.outline().await.iter().filter(|line| line.contains('~')).count();
    assert_eq!(clocks, 3 + 60 + 24 * 60);
}

#[tokio::test]
async fn what_lies_further_back_than_history_is_asked_is_a_gap_of_each_symbol() {
    let mut place = settled(&["AAPL", "MSFT"]).await;
    place.feed.bars(&[bar("AAPL", 1)]);
    place.until_bars(2).await;
    place.stop().await;
    place.pass(35 * DAY);
    let now = OPEN + 35 * DAY + MINUTE;
    let month: Vec<_> =
        (0..30).map(|day| MinuteBar { start: now - 29 * DAY + day, ..bar("AAPL", 0) }).collect();
    place.history.add(&month.into_iter().filter(|bar| bar.start % MINUTE == 0).collect::<Vec<_>>());
    let before = place.history.calls().len();
    place.start();
    place.until_state("running").await;
    let asked: Vec<_> = place.history.calls().split_off(before);
    assert_eq!(asked.len(), 2);
    let gaps: Vec<model::Gap> = place.all(&GAPS).await;
    for (symbol, from) in [("AAPL", OPEN + 2 * MINUTE), ("MSFT", OPEN + MINUTE)] {
        let call = asked.iter().find(|call| call.symbol == symbol).unwrap();
        let of: Vec<_> = gaps.iter().filter(|gap| gap.symbol == symbol).collect();
        assert_eq!(of.len(), 1, "{gaps:?}");
        assert_eq!((of[0].from, of[0].to), (from, call.from), "{symbol}");
        assert!(of[0].reason.contains("tickwire backfill"), "{}", of[0].reason);
    }
}

#[tokio::test]
async fn a_gap_that_grew_while_the_feed_was_away_for_long_ends_where_history_begins() {
    let mut place = settled(&["AAPL"]).await;
    place.stop().await;
    place.pass(35 * DAY);
    place.feed.refuse(true);
    place.start();
    place.until_state("waiting for the feed").await;
    // Time goes on over the hole, and then history fills the last 30 days.
    for _ in 0..9 {
        place.pass(MINUTE);
        tokio::task::yield_now().await;
    }
    place.until_gaps(1).await;
    reconnect(&place).await;
    place.until_state("running").await;
    let call = place.history.calls().pop().unwrap();
    let mut left = std::collections::BTreeMap::new();
    for gap in place.all::<model::Gap>(&GAPS).await {
        left.insert(gap.from, gap);
    }
    let left: Vec<_> = left.into_values().filter(|gap| !gap.is_filled()).collect();
    assert_eq!(left.iter().map(|gap| (gap.from, gap.to)).collect::<Vec<_>>(), [(OPEN + MINUTE, call.from)]);
}

#[tokio::test]
async fn a_restart_writes_nothing_that_the_log_has() {
    let mut place = settled(&["AAPL", "MSFT"]).await;
    place.feed.bars(&[bar("AAPL", 1), bar("MSFT", 1)]);
    place.until_bars(3).await;
    place.kill().await;
    place.history.add(&[bar("AAPL", 0), bar("AAPL", 1), bar("MSFT", 1), bar("MSFT", 2)]);
    place.pass(2 * MINUTE);
    place.start();
    place.until_complete(3).await;
    let bars = place.until_bars(4).await;
    assert_eq!(bars.len(), 4, "{bars:?}");
    assert_eq!((bars[3].symbol.as_str(), bars[3].start_timestamp), ("MSFT", OPEN + 2 * MINUTE));
}

#[tokio::test]
async fn a_hole_that_was_being_filled_when_the_producer_was_killed_is_filled_after_the_restart() {
    let mut place = settled(&["AAPL"]).await;
    lose(&place).await;
    for _ in 0..9 {
        place.pass(MINUTE);
        tokio::task::yield_now().await;
    }
    place.until_complete(8).await;
    place.until_gaps(1).await;
    // The history is of no use until after the kill, and live bars come meanwhile.
    place.history.always(Some(Answer::Status(500, String::new(), None)));
    reconnect(&place).await;
    place.feed.bars(&[bar("AAPL", 10)]);
    place.until_bars(2).await;
    place.kill().await;
    place.history.always(None);
    place.history.add(&(0..11).map(|minute| bar("AAPL", minute)).collect::<Vec<_>>());
    place.start();
    place.pass_until("subscribed", || !place.feed.pairs().is_empty()).await;
    place.pass(MINUTE);
    assert_eq!(place.until_bars(11).await.len(), 11);
    place
        .until("the gap filled", GAPS, |all: &[model::Gap]| all.last().is_some_and(model::Gap::is_filled))
        .await;
}

#[tokio::test]
async fn a_symbol_that_comes_back_is_filled_since_its_last_bar() {
    let place = settled(&["AAPL", "MSFT"]).await;
    place.watch(&["MSFT"]);
    place.feed.until_pairs(&["AM.MSFT"]).await;
    for minute in 2..5 {
        place.feed.bars(&[bar("MSFT", minute - 1)]);
        place.pass(MINUTE);
        place.until_complete(minute).await;
    }
    place.history.add(&(0..4).map(|minute| bar("AAPL", minute)).collect::<Vec<_>>());
    place.watch(&["AAPL", "MSFT"]);
    place.feed.until_pairs(&["AM.AAPL", "AM.MSFT"]).await;
    place.pass(5 * SECOND);
    let bars = place.until_bars(7).await;
    assert_eq!(bars.iter().filter(|bar| bar.symbol == "AAPL").count(), 4);
}

#[tokio::test]
async fn of_a_wildcard_the_busiest_symbols_are_filled_and_the_rest_is_a_gap() {
    let mut place = Place::new(Script::default(), &["*"]).await;
    place.config.calls_per_minute = 1;
    place.start();
    place.until_state("running").await;
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    place.feed.bars(&[bar("A", 0), bar("B", 0), bar("C", 0), bar("C", -1), bar("B", -1)]);
    place.until_bars(5).await;
    place.pass(MINUTE);
    place.until_complete(1).await;
    lose(&place).await;
    place.history.add(&["A", "B", "C"].map(|symbol| bar(symbol, 1)));
    place.pass(MINUTE);
    reconnect(&place).await;
    place.pass_until("both calls made", || place.history.calls().len() == 2).await;
    let bars = place.until_bars(7).await;
    assert_eq!(bars[5..].iter().map(|bar| bar.symbol.as_str()).collect::<Vec<_>>(), ["B", "C"]);
    let said =
        |all: &[model::Gap]| all.last().is_some_and(|gap| gap.symbol == "*" && gap.reason.contains("quota"));
    place.until("the rest is a gap", GAPS, said).await;
}

#[tokio::test]
async fn on_the_delayed_feed_everything_is_fifteen_minutes_later() {
    let mut place = Place::new(Script::default(), &["AAPL"]).await;
    place.config.feed_delay = Duration::from_secs(900);
    place.start();
    place.until_state("running").await;
    place.pass(5 * SECOND);
    place.until_complete(-15).await;
    place.feed.bars(&[bar("AAPL", -15)]);
    place.until_bars(1).await;
    place.pass(MINUTE);
    place.until_complete(-14).await;
    assert_eq!(place.outline().await[2..], ["-15 AAPL <-15", "-14 ~clock0 <-14"]);
}

#[tokio::test]
async fn every_clock_key_gets_every_minute_also_while_the_market_is_closed() {
    let mut place = Place::new(Script::default(), &["AAPL"]).await;
    place.config.clock_keys = 3;
    place.pass(12 * HOUR);
    place.start();
    place.until_state("running").await;
    place.pass(5 * SECOND);
    place.until_complete(720).await;
    for minute in 721..725 {
        place.pass(MINUTE);
        place.until_complete(minute).await;
    }
    let outline = place.outline().await;
    assert_eq!(outline[outline.len() - 3..], [0, 1, 2].map(|key| format!("724 ~clock{key} <724")));
    assert_eq!(outline.len(), 3 * 6);
}

#[tokio::test]
async fn a_log_that_does_not_keep_up_closes_the_feed_and_loses_nothing() {
    let symbols: Vec<String> = (0..60).map(|i| format!("S{i}")).collect();
    let listed: Vec<&str> = symbols.iter().map(String::as_str).chain(["AAPL"]).collect();
    let mut place = Place::new(Script::default(), &listed).await;
    let gate = Arc::new(Gate::new(place.log.clone()));
    place.start_on(gate.clone() as SharedLog);
    place.until_state("running").await;
    settle(&place).await;
    gate.set(false);
    let version = |symbol: &String, volume| MinuteBar { volume, ..bar(symbol, 1) };
    for volume in 0..100 {
        for symbol in &symbols {
            place.feed.bars(&[version(symbol, f64::from(volume))]);
        }
    }
    place.history.add(&symbols.iter().map(|symbol| version(symbol, 777.0)).collect::<Vec<_>>());
    // The queue fills, and then the feed is closed.
    place.pass_until("the feed closed", || place.feed.open() == 0).await;
    gate.set(true);
    reconnect(&place).await;
    place.pass(MINUTE);
    let last = |all: &[model::Bar]| all.iter().filter(|bar| bar.volume == 777.0).count() == 60;
    let all = place.until("the last version of all", STOCK_PRICES, last).await;
    assert!((4_000..6_060).contains(&all.iter().filter(|bar| bar.start_timestamp == OPEN + MINUTE).count()));
}
