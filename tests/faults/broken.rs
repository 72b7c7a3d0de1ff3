//! Builds that are broken on purpose: the account must find each of them out.
//!
//! What is wrong stands around the log or the store of one service, in this
//! binary only; the product has no switch for it.

use std::sync::Arc;

use crate::account::{Account, Undisturbed};
use crate::harness::Desk;
use crate::in_process::{Build, Kill, SOUND, play};
use crate::market::Market;
use crate::tampered::{BadLog, BadStore, Write};

/// Before the first write of a life, and before the second.
const BEFORE_ANY: Kill = Kill { writes: 0, after: false };
const AFTER_ONE: Kill = Kill { writes: 1, after: false };

/// The account of a build that is killed first as said, then in every other way.
async fn account_of(build: Build, first: Kill) -> Account {
    let others = [BEFORE_ANY, Kill { writes: 1, after: true }, AFTER_ONE, Kill { writes: 0, after: true }];
    let kills: Vec<Kill> = std::iter::once(first).chain(others).collect();
    let market = Market::new(5);
    let desk = Desk::new();
    desk.file("bars.csv", &market.prices);
    desk.file("news.csv", &market.news);
    play(&desk, build, &kills).await;
    Account::at_the_end(&desk, &market, &Undisturbed::of(&desk))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_build_passes_the_same_kills() {
    for first in [BEFORE_ANY, AFTER_ONE] {
        let account = account_of(SOUND, first).await;
        assert!(account.is_right(), "{account}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_before_the_acknowledgement_is_found_out_by_what_is_lost() {
    let sink_log = |inner| Arc::new(BadLog { inner, commits_early: true, clocks_lie: false }) as _;
    let account = account_of(Build { sink_log, ..SOUND }, BEFORE_ANY).await;
    assert!(!account.lost.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_before_the_commit_is_found_out_by_what_is_lost() {
    let store = |inner| Arc::new(BadStore { inner, write: Write::Later(Vec::new().into()) }) as _;
    let account = account_of(Build { store, ..SOUND }, AFTER_ONE).await;
    assert!(!account.lost.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_whose_time_is_not_deterministic_is_found_out_by_what_is_there_twice() {
    let store = |inner| Arc::new(BadStore { inner, write: Write::ByArrival(0.into()) }) as _;
    let account = account_of(Build { store, ..SOUND }, AFTER_ONE).await;
    assert!(!account.twice.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_record_that_lies_to_the_engine_is_found_out_by_wrong_results() {
    let engine_log = |inner| Arc::new(BadLog { inner, commits_early: false, clocks_lie: true }) as _;
    let account = account_of(Build { engine_log, ..SOUND }, BEFORE_ANY).await;
    assert!(!account.wrong.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_record_that_lies_to_the_sink_is_found_out_by_what_counts_as_late() {
    let sink_log = |inner| Arc::new(BadLog { inner, commits_early: false, clocks_lie: true }) as _;
    let account = account_of(Build { sink_log, ..SOUND }, BEFORE_ANY).await;
    assert!(!account.wrong.is_empty(), "{account}");
}
