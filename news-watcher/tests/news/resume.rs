//! Killed at any moment and started again, a news-watcher writes what it would have written at once.

use log::FailurePoint;
use model::time::{DAY, HOUR, MINUTE};
use news_watcher::{NewsError, NewsSource};

use crate::Place;

/// News in bursts, with bad rows, from before the prices to after them.
fn eventful() -> Vec<String> {
    let mut rows = Vec::new();
    for number in 0..600 {
        let symbol = ["A", "B", "C", "D", "E"][number % 5];
        rows.push(format!("{} {symbol}", (number * 7_919) % 40_000));
        if number % 100 == 3 {
            rows.push("bad".into());
        }
    }
    rows
}

async fn with_prices(partitions: u32) -> (Place, NewsSource) {
    let place = Place::new(partitions);
    let news = NewsSource::Replay { file: place.file(&eventful()) };
    place.prices(60..=90).await;
    place.prices_at([4 * HOUR, 5 * DAY].into_iter()).await;
    place.prices_end().await;
    (place, news)
}

#[tokio::test]
async fn killed_anywhere_the_topic_ends_as_if_nothing_had_happened() {
    for (partitions, broken) in [
        (1, FailurePoint::Before),
        (1, FailurePoint::After),
        (3, FailurePoint::Before),
        (3, FailurePoint::After),
        (3, FailurePoint::Within(300)),
        (3, FailurePoint::Within(777)),
    ] {
        let (whole, news) = with_prices(partitions).await;
        whole.follow(news).await.unwrap();
        let (place, news) = with_prices(partitions).await;
        let mut killed = 0;
        while let Err(error) = place.follow_until_killed(news.clone(), 1 + killed % 3, broken).await {
            assert!(matches!(error, NewsError::Log(_)), "{error}");
            killed += 1;
            assert!(killed < 1_000);
        }
        assert!(killed > 1, "killed {killed} times");
        assert_eq!(place.news().await, whole.news().await, "{partitions} {broken:?}");
        assert_eq!(place.status().await.counts, whole.status().await.counts, "{partitions} {broken:?}");
        let mut letters = place.letters().await;
        if matches!(broken, FailurePoint::Within(_)) {
            letters.dedup();
        }
        assert_eq!(letters, whole.letters().await, "{partitions} {broken:?}");
    }
}

#[tokio::test]
async fn followed_in_steps_or_at_once_the_topic_is_the_same_from_the_first_price_on() {
    let (whole, news) = with_prices(1).await;
    whole.follow(news).await.unwrap();
    let place = Place::new(1);
    let news = NewsSource::Replay { file: place.file(&eventful()) };
    for minute in 60..=90 {
        place.prices(minute..=minute).await;
        place.follow(news.clone()).await.unwrap();
    }
    place.prices_at([4 * HOUR, 5 * DAY].into_iter()).await;
    place.prices_end().await;
    place.follow(news).await.unwrap();
    assert_eq!(place.news().await, whole.news().await);
    assert_eq!(whole.news().await[0].last().unwrap().complete_until % MINUTE, 0);
}
