//! A log, a job, and its rows, streamed and computed.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use control::shutdown::{self, Shutdown};
use engine::{Job, compute, run};
use log::{Append, EmbeddedLog, SharedLog};
use model::{Article, Bar, topic};

/// The last rows of a job in its topic, by symbol, time of the point, and article.
pub type Rows = BTreeMap<(String, i64, String), serde_json::Value>;

/// A job over a log in a temporary folder.
pub struct Bench {
    _folder: tempfile::TempDir,
    pub log: SharedLog,
    pub job: Job,
}

impl Bench {
    pub async fn with(job: &str, records: Vec<Append>, partitions: u32) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), partitions).unwrap());
        for chunk in records.chunks(500) {
            log.append(chunk.to_vec()).await.unwrap();
        }
        Bench { _folder: folder, log, job: Job::named(job).unwrap() }
    }

    /// Runs the engine until everything in the log has been processed.
    pub async fn drain(&self) {
        let (stopper, stop) = shutdown::channel();
        stopper.ask(Shutdown::Drain);
        run(self.log.clone(), vec![self.job.clone()], stop).await.unwrap();
    }

    /// Runs the engine and kills it after `wait`.
    pub async fn killed_after(&self, wait: Duration) {
        let (_stopper, stop) = shutdown::channel();
        let running = tokio::spawn(run(self.log.clone(), vec![self.job.clone()], stop));
        tokio::time::sleep(wait).await;
        running.abort();
        let _ = running.await;
    }

    /// Runs the engine for `wait` and stops it in order, so that it commits.
    pub async fn stopped_after(&self, wait: Duration) {
        let (stopper, stop) = shutdown::channel();
        let running = tokio::spawn(run(self.log.clone(), vec![self.job.clone()], stop));
        tokio::time::sleep(wait).await;
        stopper.ask(Shutdown::Stop);
        running.await.unwrap().unwrap();
    }

    pub async fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        for extent in self.log.extents(&self.job.topic).await.unwrap() {
            for record in self.log.read(&self.job.topic, extent.partition, 0, usize::MAX >> 1).await.unwrap()
            {
                let row: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
                let symbol = row["symbol"].as_str().unwrap().to_owned();
                assert_eq!(record.key, symbol);
                if model::symbol::is_ours(&symbol) {
                    continue;
                }
                let key = key(&row);
                if let Some(earlier) = rows.insert(key.clone(), row.clone()) {
                    let version = |row: &serde_json::Value| {
                        ["received_timestamp", "article_received_timestamp"].map(|name| row[name].as_i64())
                    };
                    match version(&row).cmp(&version(&earlier)) {
                        Ordering::Equal => {
                            assert_eq!(earlier, row, "a row that is written again has the same value");
                        }
                        Ordering::Less => drop(rows.insert(key, earlier)),
                        Ordering::Greater => {}
                    }
                }
            }
        }
        rows
    }

    pub async fn late(&self) -> u64 {
        let said = self.log.read(&topic::SERVICE_STATUS, 0, 0, 100).await.unwrap();
        let said = said.iter().find(|record| record.key == "engine").unwrap();
        let said: model::status::ServiceStatus = serde_json::from_slice(&said.value).unwrap();
        said.counts["late"]
    }

    pub async fn computed(&self, bars: Vec<Bar>, articles: Vec<Article>) -> Rows {
        let rows = compute(&self.job, bars, articles).await.unwrap();
        rows.into_iter()
            .map(|row| {
                let object: serde_json::Map<_, _> = self
                    .job
                    .columns
                    .iter()
                    .zip(&row)
                    .map(|(column, value)| (column.name.clone(), value.to_json()))
                    .collect();
                let row = serde_json::Value::from(object);
                (key(&row), row)
            })
            .collect()
    }
}

/// The identity of the point of a row.
fn key(row: &serde_json::Value) -> (String, i64, String) {
    let time = row.get("window_end").or(row.get("path_time")).and_then(serde_json::Value::as_i64);
    let text = |name: &str| row.get(name).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
    (text("symbol"), time.unwrap(), text("id"))
}
