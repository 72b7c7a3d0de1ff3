//! How long a paced replay waits, and what goes into one append.

use std::sync::Arc;
use std::time::Duration;

use control::shutdown::{Shutdown, channel};
use feed::Clock;
use log::{FailurePoint, FaultyLog};
use model::time::Millis;
use model::topic::STOCK_PRICES;

use super::{Jumps, Place, rows};
use crate::{PriceSource, Speed, run_by};

async fn waits(clock: Jumps, lines: &[&str], speed: f64) -> Vec<f64> {
    let place = Place::new(1);
    let clock = Arc::new(clock);
    let source = PriceSource::Replay { file: place.file(&rows(lines)), speed: Speed::Times(speed) };
    let (_stopper, stop) = channel();
    run_by(clock.clone(), place.log.clone(), source, stop).await.unwrap();
    clock.waits.lock().unwrap().iter().map(Duration::as_secs_f64).collect()
}

#[tokio::test]
async fn at_sixty_times_a_minute_takes_a_second_and_a_long_gap_one_in_all() {
    let lines = ["0 A", "1 A", "1 B", "6 A", "12 A", "5000 A"];
    // Minutes 1 to 6, then two gaps and the day beyond the last bar.
    assert_eq!(waits(Jumps::default(), &lines, 60.0).await, [1., 2., 3., 4., 5., 6., 7., 8., 9.]);
    assert_eq!(waits(Jumps::default(), &lines, 30.0).await, [2., 4., 6., 8., 10., 12., 13., 14., 15.]);
}

#[tokio::test]
async fn waits_that_end_late_do_not_add_up() {
    let clock = Jumps { overshoot: Duration::from_millis(300), ..Jumps::default() };
    assert_eq!(waits(clock, &["0 A", "1 A", "2 A", "3 A"], 60.0).await, [1., 2., 3., 4.]);
}

#[tokio::test]
async fn who_is_late_does_not_wait_at_all() {
    let clock = Jumps { overshoot: Duration::from_millis(2_500), ..Jumps::default() };
    assert_eq!(waits(clock, &["0 A", "1 A", "2 A", "3 A", "4 A"], 60.0).await, [1., 4.]);
}

#[tokio::test]
async fn what_is_due_at_a_minute_is_one_append() {
    let place = Place::new(1);
    let log = Arc::new(FaultyLog::new(place.log.clone(), usize::MAX, FailurePoint::Before));
    let file = place.file(&rows(&["0 A", "0 B", "1 A", "1 B", "1 C", "3 A"]));
    let source = PriceSource::Replay { file, speed: Speed::default() };
    let (_stopper, stop) = channel();
    run_by(Arc::new(Jumps::default()), log.clone(), source, stop).await.unwrap();
    let appends: Vec<Vec<_>> = log
        .appends()
        .into_iter()
        .map(|append| append.into_iter().filter(|r| r.topic == STOCK_PRICES).map(|r| r.key).collect())
        .filter(|keys: &Vec<_>| !keys.is_empty())
        .collect();
    assert_eq!(
        appends[..4],
        [vec!["~clock0", "A", "B"], vec!["~clock0", "A", "B", "C"], vec!["~clock0"], vec!["~clock0", "A"]]
    );
}

/// A clock that nobody can wait for.
struct Frozen;

#[async_trait::async_trait]
impl Clock for Frozen {
    fn now(&self) -> Millis {
        0
    }

    async fn sleep_until(&self, _at: Millis) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn either_wish_ends_a_wait_at_once_and_the_rest_comes_after_a_restart() {
    for wish in [Shutdown::Drain, Shutdown::Stop] {
        let place = Place::new(1);
        let file = place.file(&rows(&["0 A", "0 B", "1 A"]));
        let source = PriceSource::Replay { file: file.clone(), speed: Speed::default() };
        let (stopper, stop) = channel();
        let running = tokio::spawn(run_by(Arc::new(Frozen), place.log.clone(), source, stop));
        while place.prices().await[0].len() < 3 {
            place.log.appended(Duration::from_secs(1)).await;
        }
        stopper.ask(wish);
        running.await.unwrap().unwrap();
        assert_eq!((place.status().await.state.text(), place.count("bars").await), ("stopped", 2));
        place.replay(file).await.unwrap();
        assert_eq!(place.outline().await[2..5], ["0 B <0 #2", "1 ~clock0 <1 #2", "1 A <1 #3"]);
    }
}
