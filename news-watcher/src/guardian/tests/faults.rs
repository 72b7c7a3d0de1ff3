//! Refusals, silence and nonsense, and what comes after them.

use testkit::guardian::Fault;

use super::*;

/// The times of all calls, in seconds since the start.
fn seconds(place: &Place) -> Vec<Millis> {
    place.server.calls().iter().map(|call| (call.at - START) / SECOND).collect()
}

async fn with_story() -> Place {
    let place = Place::with_term("apple").await;
    place.server.publish(Story::new("a", "Apple rises", START));
    place
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_told_with_the_remedy_and_tried_again_rarely() {
    let mut place = with_story().await;
    let right = std::mem::replace(&mut place.config.api_key, Secret::new("another-key-4711"));
    place.watch_until(START + HOUR).await.unwrap();
    assert_eq!(seconds(&place), [0, 900, 1_800, 2_700]);
    let said = place.states().into_iter().find(|state| state.starts_with("waiting until")).unwrap();
    assert!(said.contains("(Unauthorized)") && said.contains("check GUARDIAN_API_KEY"), "{said}");
    assert!(place.state_of("apple").await.state.starts_with("failing: the Guardian does not accept the key"));
    place.assert_no_key().await;
    place.config.api_key = right;
    place.watch_until(START + 2 * HOUR).await.unwrap();
    assert_eq!(place.ids().await, ["a"]);
}

#[tokio::test]
async fn after_429_with_retry_after_nobody_is_asked_until_then() {
    let place = with_story().await;
    place.server.fail_next(Fault::TooManyCalls { retry_after: Some(600) });
    place.watch_until(START + HOUR).await.unwrap();
    assert_eq!(seconds(&place)[..2], [0, 600]);
    assert_eq!(place.ids().await, ["a"]);
    let states = place.states();
    assert!(states.iter().any(|state| state.contains("waiting until 2026-03-02T14:40:00Z")), "{states:?}");
    assert_eq!(place.status().await.state.text(), "stopped");
}

#[tokio::test]
async fn after_429_without_retry_after_the_waits_double() {
    let place = with_story().await;
    for _ in 0..8 {
        place.server.fail_next(Fault::TooManyCalls { retry_after: None });
    }
    place.watch_until(START + 6 * HOUR).await.unwrap();
    let times = seconds(&place);
    let waits: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
    assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(place.ids().await, ["a"]);
}

#[tokio::test]
async fn every_passing_trouble_is_told_and_overcome() {
    for (fault, said) in [
        (Fault::Status(500), "HTTP 500: The request could not be served."),
        (Fault::Status(503), "HTTP 503"),
        (Fault::Status(504), "HTTP 504"),
        (Fault::Status(509), "HTTP 509"),
        (Fault::NotJson, "no page of results"),
        (Fault::CutOff, "error"),
        (Fault::Hang, "no answer within 0.3 s"),
    ] {
        let mut place = with_story().await;
        place.config.timeout = Duration::from_millis(300);
        place.server.fail_next(fault);
        place.watch_until(START + 30 * SECOND).await.unwrap();
        let state = place.state_of("apple").await;
        assert!(state.state.starts_with("failing: ") && state.state.contains(said), "{}", state.state);
        place.config.timeout = Duration::from_secs(10);
        place.watch_until(START + 10 * MINUTE).await.unwrap();
        assert_eq!(place.state_of("apple").await.state, "answered");
        assert_eq!(place.ids().await, ["a"]);
        place.assert_no_key().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() {
    let mut place = with_story().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    place.config.url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    place.watch_until(START + 30 * MINUTE).await.unwrap();
    let state = place.state_of("apple").await;
    assert!(state.state.starts_with("failing: "), "{}", state.state);
    place.config.url = place.server.url().into();
    place.watch_until(START + 90 * MINUTE).await.unwrap();
    assert_eq!(place.ids().await, ["a"]);
    place.assert_no_key().await;
}

#[tokio::test]
async fn a_day_without_an_answer_uses_a_fraction_of_the_quota() {
    let terms: Vec<_> = (0..10).map(|i| entry("", &format!("term{i}"))).collect();
    let place = Place::new(&terms).await;
    for term in &terms {
        place.server.fail_for(term.search_term.as_deref().unwrap(), Some(Fault::Status(503)));
    }
    place.watch_until(START + 24 * HOUR).await.unwrap();
    let calls = place.server.calls().len();
    assert!((24..150).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn a_search_that_is_refused_is_told_and_the_others_go_on() {
    let place = Place::new(&[entry("", "apple"), entry("", "bad")]).await;
    place.server.publish(Story::new("a", "Apple rises", START));
    place.server.fail_for("bad", Some(Fault::Status(400)));
    place.watch_until(START + HOUR).await.unwrap();
    let state = place.state_of("bad").await.state;
    assert_eq!(state, "failing: The request could not be served.");
    assert_eq!(place.state_of("apple").await.state, "answered");
    assert_eq!(place.ids().await, ["a"]);
    // It takes no more than its share.
    let bad = place.asked().iter().filter(|asked| asked.starts_with("bad")).count();
    assert!(bad < place.asked().len() - bad + 3, "{:?}", place.asked());
}

#[tokio::test]
async fn trouble_on_a_later_page_goes_on_with_that_page() {
    let place = Place::with_term("apple").await;
    for story in stories("apple", 120, START - MINUTE) {
        place.server.publish(story);
    }
    let newsroom = place.server.newsroom();
    place.server.change_before(0, |_| {});
    place.clock.at(START + SECOND / 2, move || newsroom.fail_next(Fault::Status(502)));
    place.watch_until(START + 30 * MINUTE).await.unwrap();
    assert_eq!(place.asked()[..4], ["apple#1", "apple#2", "apple#2", "apple#3"]);
    assert_eq!(place.ids().await.len(), 120);
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    let mut place = with_story().await;
    for url in ["content.guardianapis.com", "ftp://example.org", ""] {
        place.config.url = url.into();
        let error = place.watch_until(START + HOUR).await.unwrap_err().to_string();
        assert!(error.contains(&format!("guardian.url is `{url}`")), "{error}");
    }
}

#[tokio::test]
async fn a_clock_that_is_put_back_stops_no_calls() {
    let place = with_story().await;
    let clock = place.clock.clone();
    place.clock.at(START + 5 * HOUR, move || clock.set(START + HOUR));
    place.watch_until(START + 6 * HOUR).await.unwrap();
    let times: Vec<_> = place.server.calls().iter().map(|call| call.at).collect();
    let back = times.windows(2).position(|pair| pair[1] < pair[0]).unwrap();
    assert!(times[back + 1] < START + HOUR + 5 * MINUTE, "{}", times[back + 1] - START);
    // Event time waits until it is that late again.
    for clocks in place.clocks().await {
        assert!(clocks.is_sorted_by(|a, b| a < b) && *clocks.last().unwrap() > START + 5 * HOUR);
    }
}
