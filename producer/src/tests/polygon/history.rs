//! The REST history as a filled hole meets it.

use model::time::{MINUTE, SECOND};
use model::topic::GAPS;
use testkit::massive::{Answer, History, Script};

use super::place::{KEY, OPEN, Place, bar};

/// Started an hour after its last bar, of which the history has every minute.
async fn after_an_hour(symbols: &[&str]) -> Place {
    let mut place = Place::running(symbols).await;
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    let first: Vec<_> = symbols.iter().map(|symbol| bar(symbol, 0)).collect();
    place.feed.bars(&first);
    place.until_bars(symbols.len()).await;
    place.stop().await;
    for symbol in symbols {
        place.history.add(&(0..60).map(|minute| bar(symbol, minute)).collect::<Vec<_>>());
    }
    place.pass(60 * MINUTE);
    place
}

#[tokio::test]
async fn pages_cut_by_the_base_bar_limit_are_followed_on_our_own_host_with_the_key_in_the_header_only() {
    let mut place = after_an_hour(&["AAPL"]).await;
    let other = History::start(KEY).await;
    place.history.page(7);
    place.history.status("DELAYED");
    place.history.lead_away(&other.url());
    let before = place.history.calls().len();
    place.start();
    assert_eq!(place.until_bars(60).await.len(), 60);
    place.until_complete(60).await;
    assert!(other.calls().is_empty());
    let calls = place.history.calls().split_off(before);
    assert!(calls.len() > 8, "{}", calls.len());
    for call in &calls {
        assert_eq!(call.bearer.as_deref(), Some(KEY));
        assert!(call.query.values().all(|value| value != KEY), "{call:?}");
    }
    assert_eq!((calls[0].query["adjusted"].as_str(), calls[0].query["limit"].as_str()), ("false", "50000"));
    assert_eq!(calls[0].to, OPEN + 60 * MINUTE - 1);
}

#[tokio::test]
async fn over_quota_with_and_without_a_body_is_waited_out() {
    let mut place = after_an_hour(&["AAPL"]).await;
    place.history.answer([
        Answer::over_quota(true),
        Answer::over_quota(false),
        Answer::Status(429, String::new(), Some(7)),
    ]);
    let before = place.history.calls().len();
    place.start();
    place.pass_until("asked until it answers", || place.history.calls().len() == before + 4).await;
    assert_eq!(place.until_bars(60).await.len(), 60);
}

#[tokio::test]
async fn errors_of_the_server_and_answers_that_are_cut_are_asked_again() {
    let mut place = after_an_hour(&["AAPL"]).await;
    let broken = |code| Answer::Status(code, "<html>busy</html>".into(), None);
    place.history.answer([broken(500), Answer::Cut, broken(503)]);
    let before = place.history.calls().len();
    place.start();
    place.pass_until("asked again", || place.history.calls().len() == before + 4).await;
    assert_eq!(place.until_bars(60).await.len(), 60);
}

#[tokio::test]
async fn one_symbol_that_is_refused_becomes_a_gap_and_the_others_are_filled() {
    let mut place = after_an_hour(&["AAPL", "MSFT"]).await;
    let body = r#"{"status":"NOT_AUTHORIZED","message":"Your plan doesn't include this data timeframe."}"#;
    place.history.answer([Answer::Status(403, body.into(), None)]);
    place.start();
    place.until_complete(60).await;
    let gaps = place.until_gaps(1).await;
    let filled = if gaps[0].symbol == "AAPL" { "MSFT" } else { "AAPL" };
    assert!(gaps[0].reason.contains("data timeframe"), "{}", gaps[0].reason);
    assert_eq!((gaps[0].from, gaps[0].to), (OPEN, OPEN + 60 * MINUTE));
    let bars = place.until_bars(61).await;
    assert_eq!(bars.iter().filter(|bar| bar.symbol == filled).count(), 60);
}

#[tokio::test]
async fn an_unknown_key_leaves_a_gap_for_every_symbol() {
    let mut place = after_an_hour(&["AAPL", "MSFT"]).await;
    place.history.always(Some(Answer::unknown_key()));
    place.start();
    place.until_complete(60).await;
    let gaps = place.until_gaps(2).await;
    assert!(gaps.iter().all(|gap| gap.reason.contains("Unknown API Key")), "{gaps:?}");
}

#[tokio::test]
async fn an_empty_range_without_results_is_filled_with_nothing() {
    let place = Place::running(&["AAPL"]).await;
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    place.pass(MINUTE);
    place.until_complete(1).await;
    assert!(place.all::<model::Gap>(&GAPS).await.is_empty());
}

#[tokio::test]
async fn the_quota_of_the_plan_is_kept_and_what_comes_too_late_is_late_but_there() {
    let symbols = ["A", "B", "C", "D", "E"];
    let mut place = after_an_hour(&symbols).await;
    place.config.calls_per_minute = 1;
    let before = place.history.calls().len();
    place.start();
    place.history.answer([]);
    let mut made = Vec::new();
    while place.history.calls().len() < before + symbols.len() {
        let calls = place.history.calls().len() - before;
        made.push(calls);
        let minute = made.len();
        place.pass(10 * SECOND);
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        assert!(calls <= minute / 6 + 1, "{calls} calls in {minute} times 10 seconds");
        assert!(minute < 60, "the quota never allows all calls");
    }
    place.until_bars(5 * 60).await;
    let filled = |all: &[model::Gap]| all.iter().filter(|gap| gap.is_filled()).count() >= 2;
    place.until("gaps that were filled late", GAPS, filled).await;
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_the_remedy() {
    for (websocket, rest, said) in [
        ("socket.massive.com", "https://api.massive.com", "wss://"),
        ("https://socket.massive.com", "https://api.massive.com", "wss://"),
        ("wss://socket.massive.com/stocks", "massive", "https://"),
    ] {
        let mut place = Place::new(Script::default(), &["AAPL"]).await;
        place.config.websocket_url = websocket.into();
        place.config.rest_url = rest.into();
        place.start();
        let error = place.failure().await;
        assert!(error.contains(said), "{error}");
    }
}
