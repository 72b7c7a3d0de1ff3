//! Builds that are broken on purpose: the account must find each of them out.
//!
//! What is wrong stands around the log or the store of one service, in this
//! binary only; the product has no switch for it.

use std::sync::Arc;

use store::SharedStore;

use crate::account::{Beside, Reconciliation, Undisturbed};
use crate::harness::Sandbox;
use crate::in_process::{
    Build, Kill, SOUND, live, make_folder, play, play_with_a_paused_sink, put_far_ahead,
};
use crate::market::Market;
use crate::tampered::{BadLog, BadStore, Write};

/// Before the first write of a life, and before the second.
const BEFORE_ANY: Kill = Kill { writes: 0, after: false };
const AFTER_ONE: Kill = Kill { writes: 1, after: false };

/// The account of a build that is killed first as said, then in every other way.
async fn account_of(build: Build, first: Kill) -> Reconciliation {
    let others = [BEFORE_ANY, Kill { writes: 1, after: true }, AFTER_ONE, Kill { writes: 0, after: true }];
    let kills: Vec<Kill> = std::iter::once(first).chain(others).collect();
    let (sandbox, market) = sandbox();
    play(&sandbox, build, &kills).await;
    Reconciliation::at_the_end(&sandbox, &market, &Undisturbed::of(&sandbox))
}

fn sandbox() -> (Sandbox, Market) {
    let market = Market::new(5);
    let sandbox = Sandbox::new();
    sandbox.file("bars.csv", &market.prices);
    sandbox.file("news.csv", &market.news);
    (sandbox, market)
}

/// The account of a build that meets records of an impossible time.
async fn account_of_far_ahead(build: Build) -> Reconciliation {
    let (sandbox, market) = sandbox();
    make_folder(&sandbox);
    live(&sandbox, build, Some(AFTER_ONE)).await;
    let beside = Beside { poison: put_far_ahead(&sandbox).await, ..Beside::default() };
    play(&sandbox, build, &[]).await;
    Reconciliation::at_the_end_beside(&sandbox, &market, &Undisturbed::of(&sandbox), &beside)
}

/// The account of a build whose engine starts over once everything is written, and so
/// writes rows without what came late a second time.
async fn account_of_an_engine_that_starts_over(store: fn(SharedStore) -> SharedStore) -> Reconciliation {
    let engine_log = |inner| Arc::new(BadLog { starts_over: true, ..BadLog::sound(inner) }) as _;
    let (sandbox, market) = sandbox();
    for _ in 0..2 {
        play(&sandbox, Build { engine_log, store, ..SOUND }, &[]).await;
    }
    Reconciliation::at_the_end(&sandbox, &market, &Undisturbed::of(&sandbox))
}

/// The account of a sink that goes on after another has taken over.
async fn account_of_a_paused_sink(is_fenced: bool) -> Reconciliation {
    let (sandbox, market) = sandbox();
    play_with_a_paused_sink(&sandbox, is_fenced).await;
    Reconciliation::at_the_end(&sandbox, &market, &Undisturbed::of(&sandbox))
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
    let sink_log = |inner| Arc::new(BadLog { commits_early: true, ..BadLog::sound(inner) }) as _;
    let account = account_of(Build { sink_log, ..SOUND }, BEFORE_ANY).await;
    assert!(!account.lost.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_before_the_commit_is_found_out_by_what_is_lost() {
    let store =
        |inner| Arc::new(BadStore { inner, write: Write::Later(Vec::new().into()), is_blind: false }) as _;
    let account = account_of(Build { store, ..SOUND }, AFTER_ONE).await;
    assert!(!account.lost.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_whose_time_is_not_deterministic_is_found_out_by_what_is_there_twice() {
    let store = |inner| Arc::new(BadStore { inner, write: Write::ByArrival(0.into()), is_blind: false }) as _;
    let account = account_of(Build { store, ..SOUND }, AFTER_ONE).await;
    assert!(!account.twice.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_record_that_lies_to_the_engine_is_found_out_by_wrong_results() {
    let engine_log = |inner| Arc::new(BadLog { clocks_lie: true, ..BadLog::sound(inner) }) as _;
    let account = account_of(Build { engine_log, ..SOUND }, BEFORE_ANY).await;
    assert!(!account.wrong.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_record_that_lies_to_the_sink_is_found_out_by_what_counts_as_late() {
    let sink_log = |inner| Arc::new(BadLog { clocks_lie: true, ..BadLog::sound(inner) }) as _;
    let account = account_of(Build { sink_log, ..SOUND }, BEFORE_ANY).await;
    assert!(!account.wrong.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_a_bound_on_time_is_found_out_by_what_nobody_issued() {
    let account = account_of_far_ahead(SOUND).await;
    assert!(account.is_right() && account.set_aside == 2, "{account}");
    let unbounded = |inner| Arc::new(BadLog { has_no_bound: true, ..BadLog::sound(inner) }) as _;
    let account = account_of_far_ahead(Build { engine_log: unbounded, sink_log: unbounded, ..SOUND }).await;
    assert!(!account.wrong.is_empty() && account.set_aside == 0, "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poorer_row_that_takes_the_place_of_a_richer_one_is_found_out_by_wrong_results() {
    let account = account_of_an_engine_that_starts_over(|store| store).await;
    assert!(account.is_right(), "{account}");
    let blind = |inner| Arc::new(BadStore { inner, write: Write::Well, is_blind: true }) as _;
    let account = account_of_an_engine_that_starts_over(blind).await;
    assert!(!account.wrong.is_empty(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_a_fence_is_found_out_by_wrong_results() {
    let account = account_of_a_paused_sink(true).await;
    assert!(account.is_right(), "{account}");
    let account = account_of_a_paused_sink(false).await;
    assert!(!account.wrong.is_empty(), "{account}");
}
