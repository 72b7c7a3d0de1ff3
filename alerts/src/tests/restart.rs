//! Killed at any moment, the service says what it would have said.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Desk, drained, record, rule};
use wire::log::{BrittleLog, Broken};
use wire::rules::Rule;

async fn filled(partitions: u32) -> Desk {
    let desk = Desk::new(partitions, vec![Rule { hysteresis: 1.0, ..rule("high", "above 2") }]).await;
    for minute in 0..30 {
        let rows = ["A", "B", "C"].into_iter().zip(0..);
        let rows = rows.map(|(symbol, at)| record(symbol, minute, ((minute * 2 + at * 3) % 7) as f64));
        desk.append(rows.collect()).await;
        if minute == 15 {
            desk.put(vec![rule("high", "above 3"), rule("mid", "crosses 2.5")]).await;
        }
    }
    desk
}

/// Every word, as text, each once.
async fn words(desk: &Desk) -> BTreeSet<String> {
    desk.told().await.iter().map(|alert| serde_json::to_string(alert).unwrap()).collect()
}

#[tokio::test]
async fn killed_at_any_append_it_ends_with_the_same_episodes() {
    for partitions in [1, 3] {
        let whole = filled(partitions).await;
        whole.run().await;
        let (expected, last) = (words(&whole).await, whole.episodes().await);
        assert!(expected.len() > 20);
        for appends in 0..3 {
            for broken in [Broken::Before, Broken::After, Broken::Within(1)] {
                let desk = filled(partitions).await;
                let brittle = Arc::new(BrittleLog::new(desk.log.clone(), appends, broken));
                assert!(drained(brittle).await.is_err(), "it had something left to append");
                let desk = desk.reopened();
                desk.run().await;
                assert_eq!(words(&desk).await, expected, "{appends} {broken:?}");
                assert_eq!(desk.episodes().await, last, "{appends} {broken:?}");
            }
        }
    }
}

#[tokio::test]
async fn started_again_it_goes_on_where_it_stopped_and_says_nothing_twice() {
    let desk = filled(2).await;
    desk.run().await;
    let told = desk.told().await;
    let desk = desk.reopened();
    desk.run().await;
    assert_eq!(desk.told().await, told);
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_named_with_what_to_do() {
    let desk = Desk::new(1, Vec::new()).await;
    desk.append(vec![wire::log::Append::json(wire::topic::ALERT_STATE, "0", &"nonsense")]).await;
    let error = drained(desk.log.clone()).await.unwrap_err().to_string();
    assert!(error.contains("key 0") && error.contains("--data-dir"), "{error}");
}
