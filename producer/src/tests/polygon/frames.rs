//! What is read from frames.

use model::Source;
use model::time::{HOUR, MINUTE, Millis, SECOND};
use serde_json::json;
use testkit::massive::MinuteBar;

use super::place::{OPEN, Place, bar};

#[tokio::test]
async fn every_event_of_a_frame_is_read_whatever_stands_beside_it() {
    let place = Place::running(&["AAPL", "MSFT"]).await;
    let mut without_options = bar("MSFT", 0).event();
    for key in ["av", "op", "vw", "a", "z", "e", "dv"] {
        without_options.as_object_mut().unwrap().remove(key);
    }
    let frame = json!([
        {"ev": "status", "status": "success", "message": "subscribed to: AM.AAPL"},
        bar("AAPL", 0).event(),
        {"ev": "T", "sym": "AAPL", "i": "5096", "x": 10, "p": 161.87, "s": 300, "c": [14, 41], "t": 1, "z": 3},
        {"ev": "ZZ", "unknown": {"deep": [1, 2]}},
        without_options,
    ]);
    place.feed.text(frame.to_string());
    let bars = place.until_bars(2).await;
    assert_eq!((bars[0].symbol.as_str(), bars[0].average_size), ("AAPL", Some(12.0)));
    assert_eq!((bars[1].symbol.as_str(), bars[1].average_size, bars[1].vwap), ("MSFT", None, None));
    assert_eq!((bars[0].source, bars[0].received_timestamp), (Source::Polygon, OPEN));
    assert_eq!(bars[1].end_timestamp, OPEN + MINUTE);
    place.feed.text("[]");
    place.until_count("unknown", 2).await;
}

#[tokio::test]
async fn one_malformed_event_becomes_a_dead_letter_and_costs_nothing_else() {
    let place = Place::running(&["AAPL", "MSFT"]).await;
    let bad = json!({"ev": "AM", "sym": "BAD", "o": "ten"});
    place.feed.text(json!([bar("AAPL", 0).event(), bad, 7, bar("MSFT", 0).event()]).to_string());
    place.until_bars(2).await;
    let letters = place.until_letters(2).await;
    assert_eq!(
        (letters[0].source.as_str(), letters[0].event.as_str()),
        ("polygon", bad.to_string().as_str())
    );
    assert!(letters[0].reason.contains("cannot be read"), "{}", letters[0].reason);
    assert_eq!(letters[1].event, "7");
}

#[tokio::test]
async fn frames_that_are_cut_no_json_or_binary_are_kept_as_dead_letters() {
    let place = Place::running(&["AAPL"]).await;
    place.feed.text(r#"[{"ev":"AM","sym":"AA"#);
    place.feed.text("hello");
    place.feed.binary(vec![0xff, 0x00]);
    place.feed.bars(&[bar("AAPL", 0)]);
    place.until_bars(1).await;
    let letters = place.until_letters(3).await;
    assert_eq!(letters[0].event, r#"[{"ev":"AM","sym":"AA"#);
    assert_eq!(letters[1].event, "hello");
    assert_eq!(letters[2].event, "/wA=");
}

#[tokio::test]
async fn a_frame_of_a_megabyte_is_read_whole() {
    let place = Place::running(&["*"]).await;
    let bars: Vec<MinuteBar> = (0..6_000).map(|i| bar(&format!("S{i}"), 0)).collect();
    let frame = serde_json::Value::Array(bars.iter().map(MinuteBar::event).collect()).to_string();
    assert!(frame.len() > 1_000_000, "{}", frame.len());
    place.feed.text(frame);
    assert_eq!(place.until_bars(6_000).await.len(), 6_000);
}

#[tokio::test]
async fn a_bar_sent_again_corrected_15_minutes_later_is_a_newer_version_and_a_repeat_is_not_written_again() {
    let place = Place::running(&["AAPL"]).await;
    for minute in [0, 4, 8, 12] {
        place.feed.bars(&[bar("AAPL", minute)]);
        place.until_bars(minute as usize / 4 + 1).await;
        place.pass(4 * MINUTE);
    }
    place.feed.bars(&[bar("AAPL", 0)]);
    place.feed.bars(&[MinuteBar { volume: 77.0, ..bar("AAPL", 0) }]);
    let bars = place.until_bars(5).await;
    let versions: Vec<_> = bars.iter().filter(|bar| bar.start_timestamp == OPEN).collect();
    assert_eq!(versions.iter().map(|bar| bar.volume).collect::<Vec<_>>(), [10.0, 77.0]);
    assert!(versions[1].received_timestamp > versions[0].received_timestamp + 15 * MINUTE);
    place.feed.text("[]");
    place.until_count("corrections", 1).await;
    place.until_count("repeats", 1).await;
}

#[tokio::test]
async fn a_minute_without_a_bar_is_no_fault() {
    let place = Place::running(&["AAPL", "MSFT"]).await;
    place.feed.bars(&[bar("AAPL", 0), bar("MSFT", 0)]);
    place.until_bars(2).await;
    place.pass(MINUTE + 5 * SECOND);
    place.until_complete(1).await;
    place.feed.bars(&[bar("AAPL", 1)]);
    place.until_bars(3).await;
    place.pass(MINUTE);
    place.until_complete(2).await;
    assert!(place.all::<model::Gap>(&model::topic::GAPS).await.is_empty());
}

#[tokio::test]
async fn one_bar_dated_2099_is_refused_and_does_not_carry_time_away() {
    let place = Place::running(&["AAPL", "MSFT"]).await;
    let far: Millis = 4_070_908_800_000;
    place.feed.bars(&[MinuteBar { start: far, ..bar("MSFT", 0) }, bar("AAPL", 0)]);
    place.until_bars(1).await;
    let letters = place.until_letters(1).await;
    assert!(letters[0].reason.contains("2099-01-01T00:00:00Z"), "{}", letters[0].reason);
    place.pass(MINUTE + 5 * SECOND);
    place.until_complete(1).await;
    assert_eq!(place.outline().await.last().unwrap(), "1 ~clock0 <1");
}

#[tokio::test]
async fn a_local_clock_an_hour_behind_loses_nothing() {
    let place = Place::running(&["A", "B", "C"]).await;
    let now = |symbol: &str| MinuteBar { start: OPEN + HOUR, ..bar(symbol, 0) };
    place.feed.bars(&[now("A")]);
    place.feed.bars(&[now("B"), now("C")]);
    let bars = place.until_bars(3).await;
    assert!(bars.iter().all(|bar| bar.start_timestamp == OPEN + HOUR));
    assert!(place.all::<model::DeadLetter>(&model::topic::DEAD_LETTERS).await.is_empty());
}

#[tokio::test]
async fn a_local_clock_an_hour_ahead_makes_time_wait_for_the_feed() {
    let place = Place::running(&["A", "B"]).await;
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    for minute in 0..4 {
        place.feed.bars(&[bar("A", minute - 60), bar("B", minute - 60)]);
        place.until_bars(2 * (minute as usize + 1)).await;
        place.pass(MINUTE);
    }
    place.pass(3 * MINUTE);
    place.feed.bars(&[bar("A", -55)]);
    place.until_bars(9).await;
    let complete = place.outline().await.last().unwrap().clone();
    assert!(["<0", "<1", "<2", "<3"].iter().any(|until| complete.ends_with(until)), "{complete}");
}
