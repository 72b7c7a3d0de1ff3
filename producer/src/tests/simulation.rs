//! What the simulated market writes.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use control::shutdown::channel;
use log::FailurePoint;
use model::Source;
use model::calendar::SessionDay;
use model::heartbeat::minutes;
use model::time::MINUTE;

use super::{Jumps, Place};
use crate::{PriceSource, ProducerError, Speed, run_by};

/// A Tuesday after a weekend.
fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 24).unwrap()
}

fn source(seed: u64, speed: Speed) -> PriceSource {
    PriceSource::Simulate { seed, speed, today: today() }
}

/// Friday and Monday.
fn history() -> [SessionDay; 2] {
    let last = simulation::CALENDAR.previous_session(today());
    [simulation::CALENDAR.previous_session(last.date), last]
}

/// Runs at sixty times until so many waits are over; returns what was waited for.
async fn run(place: &Place, waits: usize) -> Vec<Duration> {
    let (stopper, stop) = channel();
    let clock = Arc::new(Jumps { end: Some((waits, stopper)), ..Jumps::default() });
    run_by(clock.clone(), place.log.clone(), source(7, Speed::default()), stop).await.unwrap();
    std::mem::take(&mut clock.waits.lock().unwrap())
}

#[tokio::test]
async fn an_empty_log_gets_two_sessions_and_the_way_to_the_next_bell_at_once() {
    let place = Place::new(1);
    assert_eq!(run(&place, 0).await, [Duration::from_secs(1)]);
    let records = place.prices().await.remove(0);
    let clocks: Vec<_> =
        records.iter().filter(|bar| bar.is_heartbeat()).map(|bar| bar.start_timestamp).collect();
    let [friday, monday] = history();
    let tuesday = simulation::CALENDAR.session(today()).unwrap();
    let expected: Vec<_> = [friday.pre_open]
        .into_iter()
        .chain(minutes(friday.pre_open, friday.post_close))
        .chain(minutes(friday.post_close, monday.pre_open))
        .chain(minutes(monday.pre_open, monday.post_close))
        .chain(minutes(monday.post_close, tuesday.pre_open))
        .chain(minutes(tuesday.pre_open, tuesday.open))
        .collect();
    let odd = clocks.iter().zip(&expected).find(|(clock, expected)| clock != expected);
    assert_eq!((odd, clocks.len()), (None, expected.len()));
    let bars: Vec<_> = records.iter().filter(|bar| !bar.is_heartbeat()).collect();
    assert!(
        bars.iter().all(|bar| bar.complete_until == bar.start_timestamp && bar.source == Source::Simulation)
    );
    assert!(bars.len() > 5_000);
    let status = place.status().await;
    assert_eq!(status.counts["bars"], bars.len() as u64);
    assert_eq!(status.watermark, Some(tuesday.open));
    assert!(status.simulated && status.source.as_deref() == Some("simulation (seed 7)"));
}

#[tokio::test]
async fn then_a_minute_is_a_second_and_closed_hours_are_one() {
    let place = Place::new(3);
    // From the bell to the end of post-market, the night, and two minutes.
    let minutes_left = (16 - 9) * 60 - 30 + 4 * 60;
    let waits = run(&place, minutes_left + 1 + 2).await;
    assert_eq!(waits, (1..=minutes_left as u64 + 4).map(Duration::from_secs).collect::<Vec<_>>());
    let next = simulation::CALENDAR.next_session(today());
    for records in place.prices().await {
        assert_eq!(records.iter().map(|bar| bar.complete_until).max(), Some(next.pre_open + 2 * MINUTE));
        let live = records.iter().filter(|bar| bar.complete_until > history()[1].post_close);
        assert_eq!(live.clone().filter(|bar| bar.is_heartbeat()).count(), 24 * 60 + 8 * 60 + 2);
        assert!(live.is_sorted_by_key(|bar| bar.complete_until));
    }
}

#[tokio::test]
async fn a_bar_is_written_when_its_minute_is_over_and_before_the_clock_that_says_so() {
    let place = Place::new(1);
    run(&place, 0).await;
    let records = place.prices().await.remove(0);
    let mut done = records[0].complete_until;
    for record in &records[1..] {
        if record.is_heartbeat() {
            done = record.complete_until;
        } else {
            assert_eq!(record.start_timestamp, done);
        }
    }
}

#[tokio::test]
async fn killed_anywhere_the_market_goes_on_where_it_broke_off() {
    for (partitions, broken) in
        [(1, FailurePoint::Before), (1, FailurePoint::After), (3, FailurePoint::Within(700))]
    {
        let whole = Place::new(partitions);
        whole.run_until_killed(&source(7, Speed::Max), 60, FailurePoint::Before).await.unwrap_err();
        let place = Place::new(partitions);
        for appends in [2, 1, 9, 5, 6] {
            place.run_until_killed(&source(7, Speed::Max), appends, broken).await.unwrap_err();
        }
        for (pieces, whole) in place.prices().await.into_iter().zip(whole.prices().await) {
            assert!(pieces.len() > 4_000 && whole.starts_with(&pieces), "{partitions} {broken:?}");
        }
        if partitions == 1 {
            let waits = run(&place, 0).await;
            let bars = place.prices().await.into_iter().flatten().filter(|bar| !bar.is_heartbeat()).count();
            assert_eq!(place.count("bars").await, bars as u64, "{waits:?}");
        }
    }
}

#[tokio::test]
async fn another_seed_is_refused_with_the_remedy() {
    let place = Place::new(1);
    run(&place, 0).await;
    let (_stopper, stop) = channel();
    let refused = place.run(place.log.clone(), source(8, Speed::Max), stop).await;
    let Err(error @ ProducerError::OtherSource { .. }) = refused else { panic!("{refused:?}") };
    let said = error.to_string();
    assert!(said.contains("seed 7") && said.contains("seed 8") && said.contains("--data-dir"), "{said}");
}
