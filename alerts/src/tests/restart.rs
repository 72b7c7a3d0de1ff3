//! Tests of restarts: after a crash at any moment the service appends the same alerts.

use std::collections::BTreeSet;
use std::sync::Arc;

use control::rules::Rule;
use log::{Append, FailurePoint, FaultyLog};
use model::service::Service;
use model::topic::ALERT_STATE;

use super::{Sandbox, drained, end, record, rule};
use crate::partition::MOST_SYMBOLS;

async fn filled(partitions: u32) -> Sandbox {
    let sandbox = Sandbox::new(partitions, vec![Rule { hysteresis: 1.0, ..rule("high", "above 2") }]).await;
    for minute in 0..30 {
        let rows = ["A", "B", "C"].into_iter().zip(0..);
        let rows = rows.map(|(symbol, at)| record(symbol, minute, ((minute * 2 + at * 3) % 7) as f64));
        sandbox.append(rows.collect()).await;
        if minute == 15 {
            sandbox.put(vec![rule("high", "above 3"), rule("mid", "crosses 2.5")]).await;
        }
    }
    sandbox
}

/// The distinct alerts, as JSON.
async fn distinct_alerts(sandbox: &Sandbox) -> BTreeSet<String> {
    sandbox.alerts().await.iter().map(|alert| serde_json::to_string(alert).unwrap()).collect()
}

#[tokio::test]
async fn killed_at_any_append_it_ends_with_the_same_episodes() {
    for partitions in [1, 3] {
        let whole = filled(partitions).await;
        whole.run().await;
        let (expected, last) = (distinct_alerts(&whole).await, whole.episodes().await);
        assert!(expected.len() > 20);
        for appends in 0..3 {
            for broken in [FailurePoint::Before, FailurePoint::After, FailurePoint::Within(1)] {
                let sandbox = filled(partitions).await;
                let faulty_log = Arc::new(FaultyLog::new(sandbox.log.clone(), appends, broken));
                assert!(drained(faulty_log).await.is_err(), "it still had something to append");
                let sandbox = sandbox.reopened();
                sandbox.run().await;
                assert_eq!(distinct_alerts(&sandbox).await, expected, "{appends} {broken:?}");
                assert_eq!(sandbox.episodes().await, last, "{appends} {broken:?}");
            }
        }
    }
}

#[tokio::test]
async fn started_again_it_goes_on_where_it_stopped_and_says_nothing_twice() {
    let sandbox = filled(2).await;
    sandbox.run().await;
    let alerts = sandbox.alerts().await;
    let sandbox = sandbox.reopened();
    sandbox.run().await;
    assert_eq!(sandbox.alerts().await, alerts);
}

/// Every record of the stored state.
async fn state(sandbox: &Sandbox) -> Vec<log::Record> {
    sandbox.log.read(&ALERT_STATE, 0, 0, 100_000).await.unwrap()
}

#[tokio::test]
async fn a_state_that_is_none_is_passed_over_and_the_service_goes_on() {
    let sandbox = filled(1).await;
    sandbox.run().await;
    let alerts = sandbox.alerts().await.len();
    for key in ["0", "0/5", "0/4711", "x"] {
        sandbox.append(vec![Append::json(ALERT_STATE, key, &"nonsense")]).await;
    }
    sandbox.signal("A", 60, &[0.0, 9.0, 0.0]).await;
    let sandbox = sandbox.reopened();
    sandbox.run().await;
    assert!(sandbox.alerts().await.len() > alerts, "later signals still yield alerts");
    let head = state(&sandbox).await.into_iter().rfind(|record| record.key == "0").unwrap();
    assert!(head.value.starts_with(b"{"), "the state is written again");
}

#[tokio::test]
async fn a_state_of_one_record_opens_and_is_kept_in_parts_from_then_on() {
    let sandbox = filled(1).await;
    let whole = filled(1).await;
    whole.run().await;
    sandbox.run().await;
    // The format of an earlier version: all symbols in the head.
    let records = state(&sandbox).await;
    let mut head: serde_json::Value =
        serde_json::from_slice(&records.iter().find(|record| record.key == "0").unwrap().value).unwrap();
    let mut symbols = serde_json::Map::new();
    for part in records.iter().filter(|record| record.key.contains('/')) {
        symbols.extend(serde_json::from_slice::<serde_json::Map<_, _>>(&part.value).unwrap());
        sandbox.append(vec![Append::json(ALERT_STATE, &part.key, &serde_json::json!({}))]).await;
    }
    assert_eq!(symbols.len(), 3);
    let fields = head.as_object_mut().unwrap();
    fields.remove("in_parts");
    fields.insert("symbols".into(), symbols.into());
    sandbox.append(vec![Append::json(ALERT_STATE, "0", &head)]).await;
    let sandbox = sandbox.reopened();
    for sandbox in [&sandbox, &whole] {
        sandbox.signal("A", 60, &[9.0, 0.0]).await;
        sandbox.run().await;
    }
    assert_eq!(distinct_alerts(&sandbox).await, distinct_alerts(&whole).await);
    let head = state(&sandbox).await.into_iter().rfind(|record| record.key == "0").unwrap();
    assert!(!String::from_utf8_lossy(&head.value).contains("symbols"));
}

#[tokio::test]
async fn no_record_of_the_state_grows_with_the_number_of_symbols() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
    let symbols = MOST_SYMBOLS as u32 + 1_000;
    for chunk in (0..symbols).collect::<Vec<u32>>().chunks(5_000) {
        let rows = chunk.iter().map(|n| record(&format!("S{n}"), i64::from(*n), 9.0));
        sandbox.append(rows.collect()).await;
    }
    sandbox.run().await;
    let records = state(&sandbox).await;
    let longest = records.iter().map(|record| record.value.len()).max().unwrap();
    assert!(longest < 128 * 1024, "{longest} bytes");
    let held: usize = records
        .iter()
        .filter(|record| record.key.contains('/'))
        .map(|part| serde_json::from_slice::<serde_json::Map<_, _>>(&part.value).unwrap().len())
        .sum();
    assert_eq!(held, MOST_SYMBOLS);
}

#[tokio::test]
async fn signals_of_a_time_beyond_reason_do_not_end_what_comes_after() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
    sandbox.signal("A", 0, &[0.0, 1.0]).await;
    let beyond = (9_223_372_036_000 - end(0)) / model::time::MINUTE;
    sandbox.append(vec![record("A", beyond, 9.0)]).await;
    sandbox.signal("A", 2, &[9.0, 0.0]).await;
    sandbox.run().await;
    assert_eq!(sandbox.spans("A").await, [("high".to_owned(), 2, Some(3))]);
}

// Which windows yield alerts, regardless of other symbols and of repetition.

const NULL: f64 = f64::NAN;

#[tokio::test]
async fn an_episode_is_told_once_when_it_opens_and_once_when_it_closes() {
    let sandbox = Sandbox::new(1, vec![Rule { hysteresis: 1.0, ..rule("high", "above 2") }]).await;
    sandbox.signal("AAPL", 0, &[1.0, 2.5, 3.5, 2.5, 1.5, 1.0, 0.5]).await;
    sandbox.run().await;
    let alerts = sandbox.alerts().await;
    let [opened, closed] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!((opened.opened, opened.closed, opened.value), (end(1), None, 2.5));
    assert_eq!((closed.opened, closed.closed, closed.value), (end(1), Some(end(5)), 2.5));
    assert_eq!((closed.extreme, closed.threshold), (3.5, 2.0));
    assert_eq!(opened.episode, format!("high/AAPL/{}", end(1)));
    assert_eq!(opened.episode, closed.episode);
    assert!(opened.explanation.contains("x was 2.5") && opened.explanation.contains("above 2"), "{opened:?}");
    assert!(closed.explanation.contains("3.5 at most, and came back to 1."), "{closed:?}");
}

#[tokio::test]
async fn windows_without_the_signal_neither_open_nor_close_and_clocks_say_nothing() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2"), rule("low", "below 1")]).await;
    sandbox.signal("~clock0", 0, &[0.0, 5.0, 0.0]).await;
    sandbox.signal("AAPL", 0, &[NULL, 5.0, NULL, NULL, 5.0]).await;
    sandbox.run().await;
    assert_eq!(sandbox.alerts().await.len(), 1);
    assert_eq!(sandbox.spans("AAPL").await, [("high".into(), 1, None)]);
}

#[tokio::test]
async fn repeats_and_older_windows_are_passed_over() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
    let values = [1.0, 3.0, 1.0, 3.0, 1.0];
    sandbox.signal("AAPL", 0, &values).await;
    sandbox.signal("AAPL", 1, &values[1..]).await;
    // Another value for a window that was already applied is ignored.
    sandbox.signal("AAPL", 2, &[9.0]).await;
    sandbox.run().await;
    sandbox.signal("AAPL", 0, &values).await;
    sandbox.run().await;
    assert_eq!(sandbox.alerts().await.len(), 4);
    let spans = [("high".to_owned(), 1, Some(2)), ("high".to_owned(), 3, Some(4))];
    assert_eq!(sandbox.spans("AAPL").await, spans);
}

#[tokio::test]
async fn partitions_and_the_company_of_other_symbols_change_nothing() {
    let rules = || vec![Rule { hysteresis: 0.5, ..rule("high", "above 2") }, rule("mid", "crosses 1.5")];
    let symbols: Vec<String> = (0..9).map(|i| format!("S{i}")).collect();
    let value = |symbol: usize, minute: i64| ((symbol as i64 * 7 + minute * 3) % 8) as f64 / 2.0;
    let mut expected = None;
    for (partitions, turn) in [(1, 0), (1, 4), (2, 1), (7, 5)] {
        let sandbox = Sandbox::new(partitions, rules()).await;
        for minute in 0..40 {
            // The rows of each window in another order, as parallel workers write them.
            let turned = (0..symbols.len()).map(|at| (at * 2 + turn * minute as usize) % symbols.len());
            let rows = turned.map(|at| record(&symbols[at], minute, value(at, minute)));
            sandbox.append(rows.collect()).await;
        }
        sandbox.run().await;
        let episodes = sandbox.episodes().await;
        assert!(episodes.len() > 100);
        assert_eq!(expected.get_or_insert_with(|| episodes.clone()), &episodes);
    }
}

#[tokio::test]
async fn a_record_that_is_no_row_stops_nothing() {
    let sandbox = Sandbox::new(1, vec![rule("high", "above 2")]).await;
    sandbox.append(vec![Append::json(crate::signals(), "AAPL", &"nonsense")]).await;
    sandbox.signal("AAPL", 0, &[3.0]).await;
    sandbox.run().await;
    assert_eq!(sandbox.spans("AAPL").await, [("high".into(), 0, None)]);
    let status = control::status::last(&*sandbox.log, Service::Alerts).await.unwrap().unwrap();
    assert_eq!((status.counts["refused"], status.counts["open"], status.counts["opened"]), (1, 1, 1));
    assert_eq!((status.state.text(), status.watermark), ("finished", Some(end(0))));
}
