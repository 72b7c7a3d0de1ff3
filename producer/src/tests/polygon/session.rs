//! Keys, plans, evictions, and connections that end or fall silent.

use std::time::Duration;

use model::time::{MINUTE, SECOND};
use serde_json::json;
use testkit::massive::{Acks, Auth, Evicts, Script};

use super::place::{KEY, Place, bar};
use feed::price::Pulse;

#[tokio::test]
async fn connected_then_auth_success_then_subscribed() {
    let place = Place::running(&["AAPL", "MSFT"]).await;
    let actions: Vec<_> = place.feed.actions().into_iter().map(|a| (a.action, a.params)).collect();
    let expected = [("auth", KEY), ("subscribe", "AM.AAPL,AM.MSFT")];
    assert_eq!(actions, expected.map(|(action, params)| (action.to_owned(), params.to_owned())));
    let status = place.status().await.unwrap();
    assert_eq!(status.source.as_deref(), Some("Polygon at 127.0.0.1"));
    assert_eq!(
        status.entries.iter().map(|entry| entry.state.as_str()).collect::<Vec<_>>(),
        ["subscribed"; 2]
    );
}

#[tokio::test]
async fn a_wrong_key_is_told_with_the_remedy_and_tried_again_rarely() {
    let mut place =
        Place::new(Script { auth: Auth::Key("another".into()), ..Script::default() }, &["AAPL"]).await;
    place.start();
    place.until_state("waiting for the feed: Polygon refuses the key").await;
    let state = place.status().await.unwrap().state.to_string();
    assert!(state.contains("check POLYGON_API_KEY") && !state.contains(KEY), "{state}");
    assert!(state.contains("tried again in 15 minutes"), "{state}");
    place.pass(15 * MINUTE - 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(place.feed.opened(), 1);
    place.feed.change(|script| script.auth = Auth::Key(KEY.into()));
    place.pass(1);
    place.feed.until_pairs(&["AM.AAPL"]).await;
    assert_eq!(place.feed.opened(), 2);
    // What was missed meanwhile is a gap, or has been filled.
    place.until_state("running").await;
}

#[tokio::test]
async fn auth_failed_with_a_plan_text_is_a_plan_and_told_with_the_remedy() {
    let refusal = Auth::Failed("Your plan doesn't include websocket access.".into());
    let mut place = Place::new(Script { auth: refusal, ..Script::default() }, &["AAPL"]).await;
    place.start();
    place.until_state("waiting for the feed: the plan of the Polygon key").await;
    let state = place.status().await.unwrap().state.to_string();
    assert!(state.contains("does not include this feed") && state.contains("wss://delayed"), "{state}");
}

#[tokio::test]
async fn auth_timeout_is_tried_again() {
    let mut place = Place::new(Script { auth: Auth::TimedOut, ..Script::default() }, &["AAPL"]).await;
    place.start();
    place.feed.until("a first try", |feed| !feed.actions().is_empty()).await;
    place.feed.change(|script| script.auth = Auth::Key(KEY.into()));
    place.pass_until("a second try", || place.feed.pairs() == ["AM.AAPL"]).await;
}

#[tokio::test]
async fn not_authorized_for_everything_waits_for_another_watchlist() {
    let mut place = Place::new(Script { plan: vec!["A".into()], ..Script::default() }, &["AAPL"]).await;
    place.start();
    place.until_state("waiting for the feed: the plan of the Polygon key").await;
    let state = place.status().await.unwrap().state.to_string();
    assert!(state.contains("minute bars of what is watched"), "{state}");
    place.feed.change(|script| script.plan = vec!["AM".into()]);
    place.watch(&["MSFT"]);
    place.feed.until_pairs(&["AM.MSFT"]).await;
    assert_eq!(place.feed.opened(), 2);
}

#[tokio::test]
async fn not_authorized_beside_what_is_acknowledged_leaves_the_connection_up() {
    let place = Place::running(&["AAPL", "MSFT"]).await;
    place.feed.text(r#"[{"ev":"status","status":"error","message":"not authorized"}]"#);
    place.feed.bars(&[bar("AAPL", 0)]);
    place.until_bars(1).await;
    assert_eq!((place.feed.opened(), place.feed.open()), (1, 1));
}

#[tokio::test]
async fn bars_beside_a_status_that_ends_the_connection_are_taken() {
    let place = Place::running(&["AAPL"]).await;
    let evicted = json!({"ev": "status", "status": "max_connections", "message": "Maximum number exceeded."});
    place.feed.text(json!([evicted, bar("AAPL", 0).event()]).to_string());
    place.until_state("waiting for the feed: Maximum number").await;
    assert_eq!(place.until_bars(1).await.len(), 1);
}

#[tokio::test]
async fn max_connections_after_subscribe_and_close_1008_is_cooled_down_for_a_minute() {
    let script = Script { connections: 0, evicts: Evicts::Newcomer, ..Script::default() };
    let mut place = Place::new(script, &["AAPL"]).await;
    place.start();
    place.until_state("waiting for the feed: Maximum number").await;
    place.feed.change(|script| script.connections = 1);
    place.pass(60 * SECOND - 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(place.feed.opened(), 1);
    place.pass(1);
    place.feed.until_pairs(&["AM.AAPL"]).await;
}

#[tokio::test]
async fn evicted_by_a_newcomer_it_stays_away_for_a_minute_too() {
    let first = Place::running(&["AAPL"]).await;
    first.feed.change(|script| script.connections = 1);
    let mut second = Place::new(Script::default(), &["MSFT"]).await;
    second.config.websocket_url = first.feed.url();
    second.start();
    first.until_state("waiting for the feed: Maximum number").await;
    second.until_state("running").await;
}

#[tokio::test]
async fn a_clean_close_1000_an_abrupt_drop_and_half_a_frame_are_survived() {
    let place = Place::running(&["AAPL"]).await;
    let ends = [
        |place: &Place| place.feed.close(1000),
        |place: &Place| place.feed.drop_connections(),
        |place: &Place| place.feed.half_frame(),
    ];
    for (minute, end) in (0..).zip(ends) {
        let before = place.feed.opened();
        end(&place);
        let again = || place.feed.opened() > before && place.feed.pairs() == ["AM.AAPL"];
        place.pass_until("connected again", again).await;
        place.feed.bars(&[bar("AAPL", minute)]);
        place.until_bars(minute as usize + 1).await;
    }
    assert!(place.all::<model::DeadLetter>(&model::topic::DEAD_LETTERS).await.is_empty());
}

#[tokio::test]
async fn a_link_that_gives_no_sign_of_life_is_left() {
    let mut place = Place::new(Script::default(), &["AAPL"]).await;
    place.pulse = Pulse { ping: Duration::from_millis(50), silent: Duration::from_millis(400) };
    place.start();
    place.feed.until_pairs(&["AM.AAPL"]).await;
    place.feed.stall();
    place.until_state("waiting for the feed: the feed gives no sign of life").await;
    place.pass_until("connected again", || place.feed.opened() == 2).await;
}

#[tokio::test]
async fn what_a_dead_link_did_not_bring_is_not_complete_before_history_has() {
    let mut place = Place::new(Script::default(), &["AAPL"]).await;
    place.pulse = Pulse { ping: Duration::from_millis(50), silent: Duration::from_millis(400) };
    place.start();
    place.until_state("running").await;
    place.pass(5 * SECOND);
    place.until_complete(0).await;
    place.feed.stall();
    place.history.add(&[bar("AAPL", 0)]);
    place.pass(MINUTE);
    place.until_state("waiting for the feed: the feed gives no sign of life").await;
    place.pass_until("connected again", || place.feed.opened() == 2).await;
    place.until_complete(1).await;
    assert_eq!(place.outline().await[2..4], ["0 AAPL <0", "1 ~clock0 <1"]);
}

#[tokio::test]
async fn mute_but_ponging_is_left_after_five_minutes_of_an_open_market() {
    let mut place = Place::new(Script::default(), &["AAPL"]).await;
    place.pulse.ping = Duration::from_millis(20);
    place.start();
    place.until_state("running").await;
    for _ in 0..4 {
        place.pass(MINUTE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.feed.opened(), 1);
    place.pass(MINUTE);
    place.until_state("waiting for the feed: no bar of any symbol for 5 minutes").await;
    // A list of which nothing trades is given twice the time.
    place.pass_until("connected again", || place.feed.opened() == 2).await;
    place.until_state("running").await;
    place.pass(6 * MINUTE);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(place.feed.opened(), 2);
}

#[tokio::test]
async fn a_feed_that_cannot_be_reached_is_tried_again_and_again() {
    let mut place = Place::new(Script::default(), &["AAPL"]).await;
    place.feed.refuse(true);
    place.start();
    place.until_state("waiting for the feed: the feed cannot be reached").await;
    place.feed.refuse(false);
    place.pass_until("connected", || place.feed.pairs() == ["AM.AAPL"]).await;
}

#[tokio::test]
async fn acknowledgements_packed_in_one_frame_count_each() {
    let mut place = Place::new(Script { acks: Acks::Packed, ..Script::default() }, &["AAPL", "MSFT"]).await;
    place.start();
    place.until_state("running").await;
    place.pass(31 * SECOND);
    place.feed.bars(&[bar("AAPL", 0)]);
    place.until_bars(1).await;
    let entries = place.status().await.unwrap().entries;
    assert!(entries.iter().all(|entry| entry.state == "subscribed"), "{entries:?}");
}

#[tokio::test]
async fn subscriptions_that_are_silently_ignored_are_told() {
    let script = Script { acks: Acks::NotFor(vec!["MSFT".into()]), ..Script::default() };
    let mut place = Place::new(script, &["AAPL", "MSFT"]).await;
    place.start();
    place.feed.until_pairs(&["AM.AAPL", "AM.MSFT"]).await;
    place.pass(31 * SECOND);
    let told = |all: &[model::status::ServiceStatus]| {
        all.last()
            .is_some_and(|last| last.entries.iter().any(|entry| entry.state == "not confirmed by the feed"))
    };
    let all = place.until("the missing one told", model::topic::SERVICE_STATUS, told).await;
    let entries: Vec<_> = all.last().unwrap().entries.iter().map(|entry| entry.state.as_str()).collect();
    assert_eq!(entries, ["subscribed", "not confirmed by the feed"]);
}

#[tokio::test]
async fn a_log_of_a_replay_is_refused() {
    let mut place = Place::new(Script::default(), &["AAPL"]).await;
    let said = model::status::ServiceStatus {
        service: "producer".into(),
        source: Some("replay of bars.csv".into()),
        ..Default::default()
    };
    place.log.append(vec![said.to_append()]).await.unwrap();
    place.start();
    let error = place.failure().await;
    assert!(error.contains("replay of bars.csv") && error.contains("--data-dir"), "{error}");
}
