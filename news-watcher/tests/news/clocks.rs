//! Without news: the clock of the prices alone.

use std::time::Duration;

use control::shutdown::{Shutdown, channel};
use model::heartbeat::minutes;
use model::time::{DAY, MINUTE, Millis};
use news_watcher::{NewsSource, run};

use crate::{BEGIN, Place};

async fn clocks(place: &Place) -> Vec<Vec<Millis>> {
    let news = place.news().await;
    assert!(news.iter().flatten().all(model::Article::is_heartbeat));
    news.iter()
        .map(|records| records.iter().map(|record| record.published_timestamp - BEGIN).collect())
        .collect()
}

#[tokio::test]
async fn every_minute_of_the_prices_goes_into_every_partition() {
    let place = Place::new(3);
    place.prices(10..=14).await;
    place.follow(NewsSource::None).await.unwrap();
    place.prices(15..=20).await;
    place.follow(NewsSource::None).await.unwrap();
    place.follow(NewsSource::None).await.unwrap();
    // What was there at the start is reached in one step.
    assert_eq!(clocks(&place).await, vec![(14..=20).map(|minute| minute * MINUTE).collect::<Vec<_>>(); 3]);
    let status = place.status().await;
    assert_eq!((status.source.as_deref(), status.state.text()), (Some("no news"), "stopped"));
    assert_eq!(status.watermark, Some(BEGIN + 20 * MINUTE));
}

#[tokio::test]
async fn a_long_gap_of_the_prices_is_filled_at_its_ends() {
    let place = Place::new(1);
    place.prices(0..=0).await;
    place.follow(NewsSource::None).await.unwrap();
    place.prices_at([30 * DAY].into_iter()).await;
    place.follow(NewsSource::None).await.unwrap();
    let expected: Vec<_> = [0].into_iter().chain(minutes(0, 30 * DAY)).collect();
    assert_eq!(clocks(&place).await, [expected]);
}

#[tokio::test]
async fn without_prices_nothing_is_written() {
    let place = Place::new(1);
    place.follow(NewsSource::None).await.unwrap();
    assert!(place.news().await[0].is_empty());
}

#[tokio::test]
async fn a_wish_to_stop_ends_it_at_once_while_it_waits_for_prices() {
    let place = Place::new(1);
    place.prices(0..=1).await;
    let (stopper, stop) = channel();
    let running = tokio::spawn(run(place.log.clone(), NewsSource::None, stop));
    while place.news().await[0].is_empty() {
        place.log.appended(Duration::from_secs(1)).await;
    }
    stopper.ask(Shutdown::Stop);
    running.await.unwrap().unwrap();
    assert_eq!(place.status().await.state.text(), "stopped");
}

#[tokio::test]
async fn a_statement_of_the_prices_beyond_reason_is_not_followed() {
    let place = Place::new(1);
    place.prices(10..=11).await;
    place.follow(NewsSource::None).await.unwrap();
    // 170 years ahead, which is a time that records may have.
    let far = 170 * 365 * DAY;
    place.prices_at([far].into_iter()).await;
    place.follow(NewsSource::None).await.unwrap();
    place.prices(12..=13).await;
    place.follow(NewsSource::None).await.unwrap();
    assert_eq!(clocks(&place).await, [(11..=13).map(|minute| minute * MINUTE).collect::<Vec<_>>()]);
    assert_eq!(place.status().await.watermark, Some(BEGIN + 13 * MINUTE));
}
