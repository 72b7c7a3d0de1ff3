//! The schedule alone, over simulated days.

use model::time::DAY;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::guardian::api::Query;
use feed::news::{DayQuota as Quota, LONGEST, SHORTEST, Schedule};

fn query(i: usize) -> Query {
    Query { term: format!("term{i}"), sections: vec![] }
}

fn schedule(per_day: u32, queries: usize) -> Schedule<Query> {
    let mut schedule = Schedule::new(Quota::new(per_day, 1, START));
    (0..queries).for_each(|i| schedule.add(query(i), None, START));
    schedule
}

/// Plays `days`; each call is answered as `answer` says: articles found, and whether more pages follow.
fn play(
    schedule: &mut Schedule<Query>,
    days: Millis,
    mut answer: impl FnMut(&Query, Millis, &mut Schedule<Query>) -> Option<(usize, bool)>,
) -> Vec<(Millis, Query)> {
    let (mut now, mut calls) = (START, Vec::new());
    while let Some((at, query)) = schedule.next(now).filter(|(at, _)| *at < START + days * DAY) {
        if at > now {
            now = at;
            continue;
        }
        schedule.ask(&query, now);
        calls.push((now, query.clone()));
        if let Some((found, more)) = answer(&query, now, schedule) {
            schedule.answered(&query, found, more, now);
        }
    }
    calls
}

fn assert_within_quota(calls: &[(Millis, Query)], per_day: usize) {
    assert!(calls.windows(2).all(|pair| pair[1].0 - pair[0].0 >= SECOND));
    assert!(calls.windows(per_day + 1).all(|calls| calls[per_day].0 - calls[0].0 >= DAY));
}

/// The longest time between two calls for a query, from the start to the end.
fn longest_wait(calls: &[(Millis, Query)], query: &Query, days: Millis) -> Millis {
    let own = calls.iter().filter(|call| &call.1 == query).map(|call| call.0);
    let times: Vec<_> = [START].into_iter().chain(own).chain([START + days * DAY]).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

#[test]
fn no_day_sees_more_than_500_calls_and_no_second_more_than_one() {
    for seed in 0..20 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let queries = [1, 3, 17, 400][seed as usize % 4];
        let mut schedule = schedule(500, queries);
        let calls = play(&mut schedule, 5, |query, now, schedule| match dice.random_range(0..40) {
            0 => {
                schedule.failed(query, dice.random(), now);
                None
            }
            1 => {
                // A restart.
                let said = schedule.quota();
                let mut again = Schedule::new(Quota::new(500, 1, now).resume(&said, now));
                (0..queries).for_each(|i| again.add(self::query(i), None, now));
                *schedule = again;
                None
            }
            2 => {
                (0..30).for_each(|i| schedule.add(self::query(1_000 + i), None, now));
                Some((0, true))
            }
            3 => {
                (0..30).for_each(|i| schedule.remove(&self::query(1_000 + i)));
                Some((5, false))
            }
            fate => Some((fate, fate < 20)),
        });
        assert!(calls.len() > 1_500, "{} calls", calls.len());
        assert_within_quota(&calls, 500);
    }
}

#[test]
fn every_query_is_asked_at_least_every_so_often() {
    for queries in [1, 2, 8] {
        let mut schedule = schedule(500, queries);
        // One brings everything, the others nothing.
        let calls =
            play(&mut schedule, 4, |query, _, _| Some((if *query == self::query(0) { 9 } else { 0 }, false)));
        assert_within_quota(&calls, 500);
        for i in 0..queries {
            let wait = longest_wait(&calls, &query(i), 4);
            assert!(wait <= LONGEST + 5 * MINUTE, "{queries} queries: {} min", wait / MINUTE);
        }
    }
}

#[test]
fn a_thousand_queries_all_have_their_turn() {
    let mut schedule = schedule(500, 1_000);
    let calls =
        play(&mut schedule, 20, |query, _, _| Some((if query.term.ends_with('7') { 20 } else { 0 }, false)));
    assert_within_quota(&calls, 500);
    assert!(calls.len() > 420 * 20, "{} calls", calls.len());
    for i in 0..1_000 {
        let wait = longest_wait(&calls, &query(i), 20);
        assert!(wait < 4 * DAY, "{} h", wait / HOUR);
    }
}

#[test]
fn queries_that_bring_news_are_asked_more_often() {
    let mut schedule = schedule(500, 10);
    let calls = play(&mut schedule, 3, |query, _, _| Some((usize::from(*query == self::query(0)), false)));
    let count = |i| calls.iter().filter(|call| call.1 == query(i)).count();
    assert!(count(0) > 3 * count(1), "{} and {}", count(0), count(1));
    // All alike while there is nothing to tell them apart.
    let even: Vec<_> = (1..10).map(count).collect();
    assert!(even.iter().max().unwrap() - even.iter().min().unwrap() <= 2, "{even:?}");
    assert!(calls.len() > 440 * 3, "{} calls", calls.len());
}

#[test]
fn a_query_that_has_gone_quiet_falls_back() {
    let mut schedule = schedule(500, 10);
    let turn = START + 2 * DAY;
    let calls = play(&mut schedule, 5, |query, now, _| {
        Some((usize::from(*query == self::query(0) && now < turn), false))
    });
    let count = |i, from| {
        let own = calls.iter().filter(|call| call.1 == query(i) && call.0 >= from);
        own.count()
    };
    let last = START + 4 * DAY;
    assert!(count(0, last) <= count(1, last) + 3, "{} and {}", count(0, last), count(1, last));
}

#[test]
fn a_single_query_uses_the_quota_but_no_minute_twice() {
    let calls = play(&mut schedule(500, 1), 2, |_, _, _| Some((0, false)));
    assert!(calls.len() > 440 * 2, "{} calls", calls.len());
    let mut rich = Schedule::new(Quota::new(100_000, 10, START));
    rich.add(query(0), None, START);
    let calls = play(&mut rich, 2, |_, _, _| Some((9, false)));
    assert!(calls.windows(2).all(|pair| pair[1].0 - pair[0].0 >= SHORTEST));
}

#[test]
fn a_failing_query_takes_nothing_from_the_others() {
    let mut schedule = schedule(500, 10);
    let calls = play(&mut schedule, 3, |query, now, schedule| {
        if *query == self::query(0) {
            schedule.failed(query, 1.0, now);
            return None;
        }
        Some((0, false))
    });
    let count = |i| calls.iter().filter(|call| call.1 == query(i)).count();
    assert!(count(0) <= count(1) + 2, "{} and {}", count(0), count(1));
    assert_within_quota(&calls, 500);
}

#[test]
fn endless_pages_starve_nobody() {
    let mut schedule = schedule(500, 5);
    let calls = play(&mut schedule, 3, |query, _, _| Some((50, *query == self::query(0))));
    assert_within_quota(&calls, 500);
    for i in 0..5 {
        let wait = longest_wait(&calls, &query(i), 3);
        assert!(wait <= LONGEST + 10 * MINUTE, "{i}: {} min", wait / MINUTE);
    }
}

#[test]
fn the_smallest_quotas_still_allow_a_call() {
    for per_day in [0, 1, 2, 19] {
        let calls = play(&mut schedule(per_day, 3), 10, |_, _, _| Some((0, false)));
        assert!(!calls.is_empty());
        assert_within_quota(&calls, per_day.max(1) as usize);
    }
}

#[test]
fn a_clock_that_is_put_back_stops_nothing() {
    let mut schedule = schedule(500, 2);
    let late = START + 300 * DAY;
    for i in 0..2 {
        schedule.ask(&query(i), late);
        schedule.answered(&query(i), 0, false, late);
    }
    schedule.put_back(300 * DAY);
    let calls = play(&mut schedule, 2, |_, _, _| Some((0, false)));
    assert!(calls.len() > 440 * 2, "{} calls", calls.len());
    assert_within_quota(&calls, 500);
}
