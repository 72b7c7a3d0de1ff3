//! Tests of concurrent changes of a list by several processes, on a real Kafka.
#![cfg(test)]

use std::collections::BTreeSet;

use control::watchlist::{self, Change, Entry, PutError};
use log::{KafkaConfig, KafkaLog, each_record};
use model::topic::WATCHLIST_HISTORY;
use testkit::kafka::Kafka;

/// Adds an entry as another process does; returns whether the change was accepted.
async fn add(config: KafkaConfig, symbol: String) -> bool {
    let log = KafkaLog::new(&config).unwrap();
    for _ in 0..50 {
        let list = watchlist::read(&log).await.unwrap();
        let entry = Entry { symbol: Some(symbol.clone()), ..Entry::default() };
        let after = list.apply(Change::Add(entry)).unwrap();
        match watchlist::put(&log, list.version, after.entries, "test").await {
            Ok(_) => return true,
            Err(PutError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_by_different_processes_each_is_taken_or_told_of_a_conflict() {
    let Some(kafka) = Kafka::shared() else { return };
    let suffix = format!("-changes-{}", std::process::id());
    let config = KafkaConfig { suffix, ..KafkaConfig::new(kafka.bootstrap_servers()) };
    // In separate processes, because the lock within one process would hide races between
    // processes.
    let me = std::env::current_exe().unwrap();
    let settings = format!("{}\n{}", config.bootstrap_servers, config.suffix);
    let changers = ["A", "B", "C"].map(|name| {
        std::process::Command::new(&me)
            .args(["one_of_several_changers", "--exact", "--nocapture", "--ignored"])
            .env("CHANGER", format!("{settings}\n{name}"))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    });
    let mut taken = BTreeSet::new();
    for changer in changers {
        let output = changer.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        taken.extend(said.lines().filter_map(|line| Some(line.split_once("TAKEN ")?.1.to_owned())));
    }
    assert_eq!(taken.len(), 12, "every changer came through");
    let log = KafkaLog::new(&config).unwrap();
    let list = watchlist::read(&log).await.unwrap();
    let listed: BTreeSet<_> = list.entries.iter().filter_map(|entry| entry.symbol.clone()).collect();
    assert_eq!(listed, taken, "what was told that it was taken is there");
    let mut versions = Vec::new();
    each_record(&log, &WATCHLIST_HISTORY, |record| {
        let past: watchlist::Past = serde_json::from_slice(&record.value).unwrap();
        versions.push(past.version);
    })
    .await
    .unwrap();
    versions.sort_unstable();
    assert_eq!(versions, (1..=12).collect::<Vec<_>>(), "no version was written twice");
}

#[tokio::test]
#[ignore = "run by the test above, as a process of its own"]
async fn one_of_several_changers() {
    let Ok(settings) = std::env::var("CHANGER") else { return };
    let [servers, suffix, name] = settings.lines().collect::<Vec<_>>().try_into().unwrap();
    let config = KafkaConfig { suffix: suffix.into(), ..KafkaConfig::new(servers) };
    for letter in ["K", "L", "M", "N"] {
        let symbol = format!("{name}{letter}");
        if add(config.clone(), symbol.clone()).await {
            println!("TAKEN {symbol}");
        }
    }
}
