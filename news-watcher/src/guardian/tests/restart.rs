//! What an earlier run knew is known again.

use model::time::DAY;

use super::*;

#[tokio::test]
async fn a_record_or_a_status_of_a_time_that_cannot_be_holds_nothing_up() {
    for poison in [i64::MAX, i64::MIN] {
        let place = Place::with_term("apple").await;
        place.server.publish(Story::new("a", "Apple rises", START));
        let said = ServiceStatus {
            service: "news-watcher".into(),
            counts: [("articles".to_owned(), u64::MAX)].into(),
            quota: Some(model::status::QuotaState { at: poison, used_today: u64::MAX, ..Default::default() }),
            entries: vec![EntryState {
                search_term: Some("apple".into()),
                since: Some(poison),
                last_success: Some(poison),
                last_asked: Some(poison),
                ..EntryState::default()
            }],
            ..ServiceStatus::default()
        };
        let clocks = (0..place.log.partitions()).map(|partition| {
            let clock = Article { complete_until: poison, ..model::heartbeat::article(0, START) };
            log::Append::json(NEWS_ARTICLES, "~clock0", &clock).into_partition(partition)
        });
        place.log.append(clocks.chain([said.to_append()]).collect()).await.unwrap();
        place.watch_until(START + 10 * HOUR).await.unwrap();
        assert_eq!(place.ids().await, ["a"], "{poison}");
        for clocks in place.clocks().await {
            assert!(clocks.last().is_some_and(|last| *last > START + 8 * HOUR), "{poison}: {clocks:?}");
        }
    }
}

#[tokio::test]
async fn the_position_of_each_term_survives() {
    let place = Place::new(&[entry("", "apple"), entry("", "pear")]).await;
    place.watch_until(START + HOUR).await.unwrap();
    let answered = place.state_of("pear").await.last_success.unwrap();
    let before = place.server.calls().len();
    place.server.publish(Story::new("p", "Pear", START + 2 * DAY));
    place.clock.set(START + 3 * DAY);
    place.watch_until(START + 3 * DAY + HOUR).await.unwrap();
    assert_eq!(place.ids().await, ["p"]);
    let calls = place.server.calls();
    let call = calls[before..].iter().find(|call| call.parameter("q") == "pear").unwrap();
    assert_eq!(model::time::parse(call.parameter("from-date")).unwrap(), answered - 15 * MINUTE);
}

#[tokio::test]
async fn nothing_is_written_or_asked_again_after_a_quick_restart() {
    let place = Place::with_term("apple").await;
    for story in stories("apple", 30, START - MINUTE) {
        place.server.publish(story);
    }
    place.watch_until(START + 10 * SECOND).await.unwrap();
    for run in 1..10 {
        place.watch_until(START + (1 + run) * 10 * SECOND).await.unwrap();
    }
    assert_eq!(place.versions().await.len(), 30);
    assert_eq!(place.server.calls().len(), 1);
}

#[tokio::test]
async fn an_edit_after_a_restart_keeps_the_publication_as_first_seen() {
    let place = Place::with_term("apple").await;
    place.server.publish(Story::new("a", "Apple rises", START));
    place.watch_until(START + 10 * MINUTE).await.unwrap();
    place.server.edit("a", START + 2 * HOUR, |story| {
        story.published = START + 2 * HOUR;
        story.headline = "Apple falls".into();
    });
    place.watch_until(START + 3 * HOUR).await.unwrap();
    let versions = place.versions().await;
    let said: Vec<_> = versions.iter().map(|a| (a.headline.as_str(), a.published_timestamp)).collect();
    assert_eq!(said, [("Apple rises", START), ("Apple falls", START)]);
}

#[tokio::test]
async fn restarts_win_no_calls() {
    let mut place = Place::with_term("apple").await;
    place.config.calls_per_day = 20;
    let terms: Vec<_> = (0..30).map(|i| entry("", &format!("term{i}"))).collect();
    place.set(&terms);
    for run in 1..=200 {
        place.watch_until(START + run * 10 * MINUTE).await.unwrap();
    }
    let calls = place.server.calls();
    let most = calls
        .iter()
        .map(|first| calls.iter().filter(|call| (first.at..first.at + DAY).contains(&call.at)).count());
    assert!(most.max().unwrap() <= 20);
    let used = place.status().await.quota.unwrap();
    assert_eq!(used.per_day, 20);
    let today = START.div_euclid(DAY) + 1;
    assert_eq!(used.used_today, calls.iter().filter(|call| call.at.div_euclid(DAY) == today).count() as u64);
}

#[tokio::test]
async fn killed_anywhere_it_loses_nothing_repeats_nothing_and_counts_its_calls() {
    for broken in [FailurePoint::Before, FailurePoint::After, FailurePoint::Within(1)] {
        for appends in 0..8 {
            let place = Place::new(&[entry("AAPL", "apple"), entry("", "pear")]).await;
            for (word, count) in [("apple", 70), ("pear", 3)] {
                for story in stories(word, count, START - MINUTE) {
                    place.server.publish(story);
                }
            }
            let brittle = Arc::new(FaultyLog::new(place.log.clone(), appends, broken));
            let killed = place.watch_through(brittle, START + HOUR).await;
            assert!(matches!(killed, Err(NewsError::Log(_))), "{killed:?}");
            place.watch_until(START + HOUR).await.unwrap();
            assert_eq!(place.articles().await.len(), 73);
            assert_eq!(place.versions().await.len(), 73, "{broken:?} {appends}");
            let said = place.status().await.quota.unwrap().used_today;
            let made = place.server.calls().len() as u64;
            assert!((made..=made + 1).contains(&said), "{said} said, {made} made");
        }
    }
}
