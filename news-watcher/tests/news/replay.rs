//! A file of news, played back.

use log::{FailurePoint, FaultyLog};
use model::time::{DAY, MINUTE};

use crate::{BEGIN, Place, drain, rows};

#[tokio::test]
async fn articles_come_by_publication_before_the_clock_of_the_minute_after_them() {
    let place = Place::new(1);
    let news = place.replay(&["700 B", "610 A", "660 A", "660 C", "900 D"]);
    place.prices(9..=9).await;
    place.follow(news.clone()).await.unwrap();
    place.prices(10..=12).await;
    place.follow(news).await.unwrap();
    assert_eq!(
        place.outline().await,
        [
            "540 ~clock0 <9 #0",
            "600 ~clock0 <10 #0",
            "610 A <10 #1",
            "660 ~clock0 <11 #1",
            "660 A <11 #2",
            "660 C <11 #3",
            "700 B <11 #4",
            "720 ~clock0 <12 #4"
        ]
    );
    assert_eq!(place.status().await.counts["articles"], 4);
}

#[tokio::test]
async fn news_from_before_the_prices_begins_with_a_clock_of_its_own() {
    let place = Place::new(1);
    place.prices(4..=4).await;
    place.follow(place.replay(&["70 A", "130 B", "239 C", "240 D"])).await.unwrap();
    assert_eq!(
        place.outline().await,
        [
            "60 ~clock0 <1 #0",
            "70 A <1 #1",
            "120 ~clock0 <2 #1",
            "130 B <2 #2",
            "180 ~clock0 <3 #2",
            "239 C <3 #3",
            "240 ~clock0 <4 #3"
        ]
    );
}

#[tokio::test]
async fn bad_rows_go_to_the_dead_letters_once_with_file_and_line() {
    let place = Place::new(1);
    let news = place.replay(&["bad", "70 A", "worse"]);
    place.prices(1..=2).await;
    place.follow(news.clone()).await.unwrap();
    place.follow(news).await.unwrap();
    let letters = place.letters().await;
    let sources: Vec<_> = letters.iter().map(|(source, _)| source.as_str()).collect();
    assert_eq!(sources, ["replay:news.csv:2", "replay:news.csv:4"]);
    assert!(letters[0].1.contains("the row has 1 columns"), "{}", letters[0].1);
    assert_eq!(place.status().await.counts["rejected"], 2);
}

#[tokio::test]
async fn when_the_prices_have_ended_the_rest_is_written_with_a_day_of_clocks() {
    let place = Place::new(1);
    let news = place.replay(&["70 A", "600 B"]);
    place.prices(1..=3).await;
    place.follow(news.clone()).await.unwrap();
    assert_eq!(place.news().await[0].last().unwrap().complete_until, BEGIN + 3 * MINUTE);
    assert_eq!(place.status().await.state.text(), "stopped");
    place.prices_end().await;
    place.follow(news.clone()).await.unwrap();
    let ended = place.news().await.remove(0);
    assert_eq!(ended.last().unwrap().complete_until, BEGIN + 10 * MINUTE + DAY);
    let status = place.status().await;
    assert_eq!((status.state.text(), status.counts["articles"]), ("finished", 2));
    place.follow(news).await.unwrap();
    assert_eq!(place.news().await, [ended]);
}

#[tokio::test]
async fn all_news_comes_also_when_the_prices_ended_without_a_record() {
    let place = Place::new(1);
    place.prices_end().await;
    place.follow(place.replay(&["70 A"])).await.unwrap();
    assert_eq!(place.outline().await[..2], ["60 ~clock0 <1 #0", "70 A <1 #1"]);
}

#[tokio::test]
async fn nothing_is_left_behind_that_has_not_been_followed_durably() {
    let place = Place::new(1);
    place.prices(1..=2).await;
    let log = FaultyLog::new(place.log.clone(), 1, FailurePoint::Before);
    assert!(drain(std::sync::Arc::new(log), place.replay(&["70 A"])).await.is_err());
    assert!(place.log.committed("news-watcher").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_cannot_be_continued_is_refused_with_the_remedy() {
    let place = Place::new(1);
    place.prices(1..=2).await;
    place.follow(place.replay(&["70 A", "71 A"])).await.unwrap();
    let said = place.follow(place.replay(&["70 A"])).await.unwrap_err().to_string();
    assert!(said.contains("replay of 2 articles, but news.csv has only 1"), "{said}");
    std::fs::remove_file(place.file(&rows(&[]))).unwrap();
    let file = place.folder.path().join("news.csv");
    let said = place.follow(news_watcher::NewsSource::Replay { file }).await.unwrap_err().to_string();
    assert!(said.contains("news.csv") && said.contains("cannot be read"), "{said}");
}

#[tokio::test]
async fn an_article_years_ahead_is_a_dead_letter_and_the_news_ends_with_the_others() {
    let place = Place::new(1);
    place.prices_end().await;
    // The second forty years after the first.
    place.follow(place.replay(&["70 A", "1262304000 B"])).await.unwrap();
    assert_eq!(place.outline().await.iter().filter(|row| row.contains(" B ")).count(), 0);
    let news = place.news().await.remove(0);
    assert!(news.last().unwrap().complete_until < BEGIN + 3 * DAY, "{:?}", news.last());
    let letters = place.letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].1.contains("more than a year ahead"), "{}", letters[0].1);
}
