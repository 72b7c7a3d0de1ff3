//! What a replay writes.

use model::Source;
use model::heartbeat::minutes;
use model::time::{DAY, HOUR, MINUTE};

use super::{Place, ZERO, rows};

#[tokio::test]
async fn clocks_go_before_the_bars_of_their_minute_and_a_day_beyond_the_last() {
    let place = Place::new(1);
    place.replay(place.file(&rows(&["10 A", "10 B", "12 A"]))).await.unwrap();
    let outline = place.outline().await;
    assert_eq!(
        outline[..7],
        [
            "10 ~clock0 <10 #0",
            "10 A <10 #1",
            "10 B <10 #2",
            "11 ~clock0 <11 #2",
            "12 ~clock0 <12 #2",
            "12 A <12 #3",
            "13 ~clock0 <13 #3"
        ]
    );
    assert_eq!(outline.len(), 6 + 24 * 60);
    assert_eq!(outline.last().unwrap(), &format!("{0} ~clock0 <{0} #3", 12 + 24 * 60));
}

#[tokio::test]
async fn a_late_row_is_appended_as_it_is_and_time_never_falls() {
    let place = Place::new(1);
    place.replay(place.file(&rows(&["10 A", "12 A", "3 B", "11 A", "12 B"]))).await.unwrap();
    let outline = place.outline().await;
    assert_eq!(outline[4..8], ["12 A <12 #2", "3 B <12 #3", "11 A <12 #4", "12 B <12 #5"]);
}

#[tokio::test]
async fn every_partition_gets_every_clock_minute_in_order_with_its_bars() {
    let place = Place::new(3);
    place.replay(place.file(&rows(&["0 A", "1 B", "7 C", "9000 D", "9001 A"]))).await.unwrap();
    let expected: Vec<_> = [0]
        .into_iter()
        .chain(minutes(0, 7 * MINUTE))
        .chain(minutes(7 * MINUTE, 9_000 * MINUTE))
        .chain(minutes(9_000 * MINUTE, 9_001 * MINUTE + DAY))
        .map(|at| ZERO + at)
        .collect();
    for bars in place.prices().await {
        let clocks: Vec<_> = bars.iter().filter(|bar| bar.is_heartbeat()).collect();
        assert!(clocks.iter().all(|bar| bar.symbol == "~clock0"));
        assert_eq!(clocks.iter().map(|bar| bar.start_timestamp).collect::<Vec<_>>(), expected);
        let mut done = None;
        for bar in &bars {
            if bar.is_heartbeat() {
                done = Some(bar.complete_until);
            }
            assert_eq!(Some(bar.complete_until), done, "{bar:?}");
        }
    }
}

#[tokio::test]
async fn of_a_gap_over_two_days_the_first_hour_and_the_last_day_are_filled() {
    let place = Place::new(1);
    place.replay(place.file(&rows(&["0 A", "10000 A"]))).await.unwrap();
    let clocks = place.prices().await.remove(0).into_iter().filter(model::Bar::is_heartbeat);
    let between: Vec<_> = clocks
        .map(|bar| bar.start_timestamp - ZERO)
        .filter(|at| (1..=10_000 * MINUTE).contains(at))
        .collect();
    assert_eq!(between.len(), 60 + 24 * 60);
    assert_eq!((between[59], between[60]), (HOUR, 10_000 * MINUTE - DAY + MINUTE));
}

#[tokio::test]
async fn bad_rows_go_to_the_dead_letters_with_file_and_line_and_count_as_taken() {
    let place = Place::new(1);
    place.replay(place.file(&rows(&["bad", "10 A", "worse,and,worse", "10 B", "last"]))).await.unwrap();
    let outline = place.outline().await;
    assert_eq!(outline[..4], ["10 ~clock0 <10 #1", "10 A <10 #2", "10 B <10 #4", "11 ~clock0 <11 #5"]);
    let letters = place.letters().await;
    assert_eq!(
        letters.iter().map(|(source, _)| source.as_str()).collect::<Vec<_>>(),
        ["replay:bars.csv:2", "replay:bars.csv:4", "replay:bars.csv:6"]
    );
    assert!(letters[0].1.contains("the row has 1 columns, the header has 7"), "{}", letters[0].1);
    assert_eq!((place.count("bars").await, place.count("rejected").await), (2, 3));
}

#[tokio::test]
async fn a_row_years_ahead_is_a_dead_letter_and_moves_event_time_nowhere() {
    let place = Place::new(1);
    // Twenty years after the first.
    place.replay(place.file(&rows(&["10 A", "10519200 A", "11 A"]))).await.unwrap();
    let outline = place.outline().await;
    assert_eq!(outline[..4], ["10 ~clock0 <10 #0", "10 A <10 #1", "11 ~clock0 <11 #2", "11 A <11 #3"]);
    assert_eq!(outline.len(), 4 + 24 * 60);
    let letters = place.letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].0, "replay:bars.csv:3");
    assert!(letters[0].1.contains("more than a year ahead"), "{}", letters[0].1);
}

#[tokio::test]
async fn the_status_names_the_file_and_ends_as_finished() {
    let place = Place::new(1);
    place.replay(place.file(&rows(&["10 A"]))).await.unwrap();
    let status = place.status().await;
    assert_eq!((status.source.as_deref(), status.state.text()), (Some("replay of bars.csv"), "finished"));
    assert_eq!(status.watermark, Some(ZERO + 10 * MINUTE + DAY));
    assert!(!status.simulated);
    assert_eq!(place.prices().await[0][1].source, Source::Replay);
}

#[tokio::test]
async fn a_file_of_bad_rows_alone_ends_without_a_clock() {
    let place = Place::new(1);
    let file = place.file(&vec!["bad".to_owned(); 2_500]);
    place.replay(file.clone()).await.unwrap();
    place.replay(file).await.unwrap();
    assert!(place.prices().await[0].is_empty());
    assert_eq!(place.letters().await.len(), 2_500);
    assert_eq!(place.count("rejected").await, 2_500);
}

#[tokio::test]
async fn a_file_that_cannot_be_replayed_is_named_and_nothing_is_written() {
    let place = Place::new(1);
    let error = place.replay(place.folder.path().join("none.csv")).await.unwrap_err().to_string();
    assert!(error.contains("none.csv"), "{error}");
    assert!(place.log.topics().await.unwrap().is_empty());
}
