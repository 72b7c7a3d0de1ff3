//! Killed at any moment and started again, a replay writes what it would have written at once.

use log::FailurePoint;

use super::{Place, rows};
use crate::{PriceSource, ProducerError, Speed};

/// Sessions with late, repeated and bad rows, and gaps short and long.
fn eventful() -> Vec<String> {
    let mut rows = rows(&["bad-at-once", "100 A", "100 B"]);
    for minute in 101..400 {
        rows.extend(["A", "B", "C", "D"].map(|symbol| format!("{minute} {symbol}")));
        match minute % 29 {
            3 => rows.push("bad".into()),
            7 => rows.push(format!("{} A", minute - 40)),
            11 => rows.push(format!("{minute} A")),
            _ => {}
        }
    }
    rows.extend(["404 A", "900 B", "bad", "7000 C", "bad", "bad"].map(str::to_owned));
    rows
}

/// Kills and restarts until the replay has ended; returns how often it was killed.
async fn replay_in_pieces(
    place: &Place,
    speed: Speed,
    mut pieces: impl FnMut() -> (usize, FailurePoint),
) -> usize {
    let source = PriceSource::Replay { file: place.file(&eventful()), speed };
    for killed in 0..10_000 {
        let (appends, broken) = pieces();
        match place.run_until_killed(&source, appends, broken).await {
            Ok(()) => return killed,
            Err(ProducerError::Log(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the replay never comes to an end");
}

/// Small numbers that follow from a seed.
pub(super) fn draws(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    }
}

#[tokio::test]
async fn killed_anywhere_the_log_ends_as_if_nothing_had_happened() {
    for partitions in [1, 3] {
        let whole = Place::new(partitions);
        whole.replay(whole.file(&eventful())).await.unwrap();
        for (seed, speed) in [(1, Speed::Max), (2, Speed::Max), (3, Speed::default()), (4, Speed::default())]
        {
            let place = Place::new(partitions);
            let mut draw = draws(seed);
            let killed = replay_in_pieces(&place, speed, || {
                let broken = if draw(2) == 0 { FailurePoint::Before } else { FailurePoint::After };
                (1 + draw(if speed == Speed::Max { 3 } else { 40 }), broken)
            })
            .await;
            assert!(killed > 2, "seed {seed} was killed {killed} times");
            assert_eq!(place.prices().await, whole.prices().await, "seed {seed}, {partitions} partitions");
            assert_eq!(place.letters().await, whole.letters().await, "seed {seed}");
            assert_eq!(place.status().await.counts, whole.status().await.counts, "seed {seed}");
        }
    }
}

/// A log that takes a part of an append, as one with several machines may.
#[tokio::test]
async fn where_appends_are_torn_no_row_is_lost_and_none_is_written_twice() {
    let whole = Place::new(3);
    whole.replay(whole.file(&eventful())).await.unwrap();
    for seed in 1..=3 {
        let place = Place::new(3);
        let mut draw = draws(seed);
        replay_in_pieces(&place, Speed::Max, || (1 + draw(2), FailurePoint::Within(draw(1_000)))).await;
        assert_eq!(place.prices().await, whole.prices().await, "seed {seed}");
        assert_eq!(place.letters().await, whole.letters().await, "seed {seed}");
        assert_eq!(place.status().await.counts, whole.status().await.counts, "seed {seed}");
    }
}

#[tokio::test]
async fn a_finished_replay_is_recognised_and_written_no_further() {
    let place = Place::new(1);
    let file = place.file(&eventful());
    place.replay(file.clone()).await.unwrap();
    let before = (place.prices().await, place.letters().await);
    place.replay(file).await.unwrap();
    assert_eq!((place.prices().await, place.letters().await), before);
    assert_eq!(place.status().await.state.text(), "finished");
}

#[tokio::test]
async fn a_file_that_has_become_shorter_is_refused() {
    let place = Place::new(1);
    place.replay(place.file(&rows(&["10 A", "11 A", "12 A"]))).await.unwrap();
    let error = place.replay(place.file(&rows(&["10 A"]))).await.unwrap_err().to_string();
    assert!(error.contains("replay of 3 rows, but bars.csv has only 1"), "{error}");
}
