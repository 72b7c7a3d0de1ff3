//! The news of the simulated market.

use chrono::NaiveDate;
use log::FailurePoint;
use model::calendar::SessionDay;
use model::heartbeat::minutes;
use model::time::MINUTE;
use model::{Article, Source};
use news_watcher::NewsSource;

use crate::{BEGIN, Place};

/// A Friday and the Monday after it.
fn sessions() -> [SessionDay; 2] {
    [20, 23].map(|day| simulation::CALENDAR.session(NaiveDate::from_ymd_opt(2026, 11, day).unwrap()).unwrap())
}

async fn prices_of_both(place: &Place) {
    let [friday, monday] = sessions();
    let times = minutes(friday.pre_open, friday.post_close)
        .chain(minutes(friday.post_close, monday.pre_open))
        .chain(minutes(monday.pre_open, monday.post_close));
    place.prices_at([friday.pre_open].into_iter().chain(times).map(|at| at - BEGIN)).await;
}

fn expected(seed: u64) -> Vec<String> {
    let world = ::simulation::World::new(seed);
    let articles = sessions().map(|session| world.day(session.date).unwrap().articles);
    let mut ids: Vec<_> = articles.into_iter().flatten().map(|article| article.id).collect();
    ids.sort();
    ids
}

async fn ids(place: &Place) -> Vec<String> {
    let articles = place.news().await.into_iter().flatten().filter(|article| !article.is_heartbeat());
    let mut ids: Vec<_> = articles.map(|article| article.id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn every_article_of_the_sessions_is_written_once_and_marked_as_simulated() {
    let place = Place::new(1);
    prices_of_both(&place).await;
    place.follow(NewsSource::Simulate { seed: 7 }).await.unwrap();
    assert_eq!(ids(&place).await, expected(7));
    let news = place.news().await.remove(0);
    assert!(news.iter().is_sorted_by_key(|article| article.published_timestamp));
    for article in news.iter().filter(|article| !article.is_heartbeat()) {
        assert_eq!(article.source, Source::Simulation);
        let waited = article.published_timestamp - article.complete_until;
        assert!((0..MINUTE).contains(&waited), "{article:?}");
    }
    let status = place.status().await;
    assert!(status.simulated && status.source.as_deref() == Some("simulation (seed 7)"));
    assert_eq!(status.counts["articles"], expected(7).len() as u64);
}

#[tokio::test]
async fn killed_anywhere_no_article_is_lost_or_written_or_counted_twice() {
    for (partitions, broken) in
        [(1, FailurePoint::Before), (1, FailurePoint::After), (3, FailurePoint::Within(400))]
    {
        let place = Place::new(partitions);
        prices_of_both(&place).await;
        let mut killed = 0;
        while place
            .follow_until_killed(NewsSource::Simulate { seed: 7 }, 1 + killed % 2, broken)
            .await
            .is_err()
        {
            killed += 1;
            assert!(killed < 1_000);
        }
        assert!(killed > 1);
        assert_eq!(ids(&place).await, expected(7), "{partitions} {broken:?}");
        if partitions == 1 {
            assert_eq!(place.status().await.counts["articles"], expected(7).len() as u64, "{broken:?}");
        }
        let clocks = |records: &Vec<Article>| records.iter().filter(|a| a.is_heartbeat()).count();
        let news = place.news().await;
        assert!(news.iter().all(|records| clocks(records) == clocks(&news[0])));
    }
}
