//! `complete_until` and the heartbeats.

use testkit::guardian::Fault;

use super::*;

/// Minutes from the start to `until`, the start included.
fn minutes(until: Millis) -> Vec<Millis> {
    (0..=(until - START) / MINUTE).map(|minute| START + minute * MINUTE).collect()
}

#[tokio::test]
async fn without_terms_event_time_follows_the_wall_clock() {
    let place = Place::new(&[Entry { symbol: Some("AAPL".into()), ..Entry::default() }]).await;
    place.watch_until(START + 5 * MINUTE + 1).await.unwrap();
    assert_eq!(place.clocks().await, vec![minutes(START + 5 * MINUTE); 3]);
    assert_eq!(place.server.calls().len(), 0);
    assert!(place.states().iter().any(|state| state.contains("no search term yet")));
}

#[tokio::test]
async fn event_time_is_as_late_as_the_last_answer_to_the_slowest_term() {
    let place = Place::new(&[entry("", "apple"), entry("", "pear")]).await;
    place.watch_until(START + HOUR).await.unwrap();
    let answered = |term: &str| {
        let calls = place.server.calls();
        calls.iter().filter(|call| call.parameter("q") == term).map(|call| call.at).max().unwrap()
    };
    // The server's clock shows whole seconds.
    let slowest = answered("apple").min(answered("pear"));
    assert!(slowest < START + HOUR);
    assert_eq!(place.clocks().await, vec![minutes(slowest); 3]);
    assert_eq!(place.status().await.watermark, Some(slowest / MINUTE * MINUTE));
}

#[tokio::test]
async fn after_the_longest_wait_event_time_goes_on_without_the_failing_term_and_says_so() {
    let place = Place::new(&[entry("", "apple"), entry("", "pear")]).await;
    place.server.fail_for("pear", Some(Fault::Status(503)));
    place.watch_until(START + 59 * MINUTE).await.unwrap();
    assert_eq!(place.clocks().await, vec![minutes(START); 3]);
    place.watch_until(START + 150 * MINUTE).await.unwrap();
    let last = place.clocks().await.iter().map(|clocks| *clocks.last().unwrap()).min().unwrap();
    assert!(last > START + 2 * HOUR, "{}", last - START);
    let states = place.states();
    let said = "running without 1 of 2 searches, which have not been answered for too long: `pear` (HTTP 503";
    assert!(states.iter().any(|state| state.contains(said)), "{states:?}");
    // Once it answers again it is waited for again.
    place.server.fail_for("pear", None);
    place.watch_until(START + 6 * HOUR).await.unwrap();
    assert!(!place.states()[states.len() + 1..].iter().any(|state| state.contains("without")));
}

#[tokio::test]
async fn with_every_term_failing_event_time_goes_on_as_late_as_the_longest_wait() {
    let place = Place::with_term("apple").await;
    place.server.fail_for("apple", Some(Fault::Status(503)));
    place.watch_until(START + 3 * HOUR + 1).await.unwrap();
    assert_eq!(place.clocks().await, vec![minutes(START + 2 * HOUR); 3]);
}

#[tokio::test]
async fn after_downtime_the_missing_minutes_are_filled_behind_the_articles_of_that_time() {
    let place = Place::with_term("apple").await;
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    place.server.publish(Story::new("a", "Apple rises", START + HOUR));
    place.clock.set(START + 5 * HOUR);
    place.watch_until(START + 6 * HOUR).await.unwrap();
    for (partition, clocks) in place.clocks().await.into_iter().enumerate() {
        let last = *clocks.last().unwrap();
        assert!(last > START + 5 * HOUR);
        assert_eq!(clocks, minutes(last), "partition {partition}");
    }
    let article = &place.versions().await[0];
    assert!(article.complete_until <= article.published_timestamp);
}

#[tokio::test]
async fn of_a_month_of_downtime_the_ends_are_filled() {
    let place = Place::with_term("apple").await;
    place.watch_until(START + MINUTE).await.unwrap();
    place.clock.set(START + 30 * 24 * HOUR);
    place.watch_until(START + 30 * 24 * HOUR + 10 * MINUTE).await.unwrap();
    let clocks = place.clocks().await;
    assert!((60 + 24 * 60..60 + 24 * 60 + 20).contains(&clocks[0].len()), "{}", clocks[0].len());
    assert_eq!(clocks[0], clocks[2]);
}

#[tokio::test]
async fn every_record_says_no_less_than_the_one_before_and_articles_are_not_held_back() {
    let place = Place::new(&[entry("", "apple"), entry("", "pear")]).await;
    for i in 0..60 {
        let newsroom = place.server.newsroom();
        place.clock.at(START + i * 3 * MINUTE, move || {
            let word = if i % 3 == 0 { "pear" } else { "apple" };
            newsroom.publish(Story::new(&format!("{i:02}"), word, START + i * 3 * MINUTE));
        });
    }
    place.watch_until(START + 5 * HOUR).await.unwrap();
    for partition in place.records::<Article>(&NEWS_ARTICLES).await {
        assert!(partition.is_sorted_by_key(|record| record.complete_until));
        let clocks = partition.iter().filter(|record| record.is_heartbeat());
        assert!(clocks.map(|clock| clock.complete_until).is_sorted_by(|a, b| a < b));
    }
    assert_eq!(place.ids().await.len(), 60);
    for article in place.versions().await {
        let wait = article.received_timestamp - article.published_timestamp;
        assert!(wait < 15 * MINUTE, "{wait}");
    }
}

#[tokio::test]
async fn a_local_clock_that_runs_ahead_loses_nothing() {
    let folder = Place::with_term("apple").await;
    let clock = folder.clock.clone();
    // The server's time is right; ours is an hour ahead of it.
    let server = Guardian::start(KEY, move || clock.now() - HOUR).await;
    let config = GuardianConfig { url: server.url().into(), ..folder.config.clone() };
    let place = Place { server, config, ..folder };
    for i in 0..20 {
        let newsroom = place.server.newsroom();
        place.clock.at(START + i * 5 * MINUTE, move || {
            newsroom.publish(Story::new(&format!("{i:02}"), "apple", START + i * 5 * MINUTE - HOUR));
        });
    }
    place.watch_until(START + 3 * HOUR).await.unwrap();
    assert_eq!(place.ids().await.len(), 20);
    // What is said to be complete is so by the server's time.
    assert!(place.status().await.watermark.unwrap() <= START + 2 * HOUR);
}
