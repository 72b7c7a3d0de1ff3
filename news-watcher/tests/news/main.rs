//! What stands on `news-articles` after a news-watcher has followed some prices.

#![cfg(test)]

mod clocks;
mod replay;
mod resume;
mod simulation;

use model::service::{RunState, Service};
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use control::shutdown::{Shutdown, channel};
use log::{Append, EmbeddedLog, FailurePoint, FaultyLog, SharedLog};
use model::status::ServiceStatus;
use model::time::{DAY, MINUTE, Millis};
use model::topic::{DEAD_LETTERS, NEWS_ARTICLES, STOCK_PRICES};
use model::{Article, DeadLetter, heartbeat};
use news_watcher::{NewsError, NewsSource, run};
use tempfile::TempDir;

/// A data folder with its log, and files to replay.
/// When the tests begin: 1997-05-19 in UTC. Their own times count from here, because
/// files refuse times in the first weeks of 1970.
const BEGIN: Millis = 10_000 * DAY;

struct Place {
    folder: TempDir,
    log: SharedLog,
}

impl Place {
    fn new(partitions: u32) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), partitions).unwrap());
        Place { folder, log }
    }

    /// A file of articles, each `seconds symbol`; anything else is a bad row.
    fn file(&self, rows: &[String]) -> PathBuf {
        let mut text = "id,symbol,search_term,headline,url,published_ms\n".to_owned();
        for (number, row) in rows.iter().enumerate() {
            text += &match row.split_once(' ') {
                Some((seconds, symbol)) => {
                    let published = BEGIN + seconds.parse::<Millis>().unwrap() * 1_000;
                    format!("{number},{symbol},,H,https://e.org/{number},{published}\n")
                }
                None => format!("{row}\n"),
            };
        }
        let path = self.folder.path().join("news.csv");
        fs::write(&path, text).unwrap();
        path
    }

    fn replay(&self, list: &[&str]) -> NewsSource {
        NewsSource::Replay { file: self.file(&rows(list)) }
    }

    /// The prices are complete minute by minute.
    async fn prices(&self, minutes: RangeInclusive<Millis>) {
        self.prices_at(minutes.map(|minute| minute * MINUTE)).await;
    }

    async fn prices_at(&self, times: impl Iterator<Item = Millis>) {
        for at in times {
            let clocks = (0..self.log.partitions()).map(|partition| {
                let bar = heartbeat::bar(partition, BEGIN + at);
                Append::json(STOCK_PRICES, &bar.symbol, &bar).into_partition(partition)
            });
            self.log.append(clocks.collect()).await.unwrap();
        }
    }

    /// The prices have come to their end.
    async fn prices_end(&self) {
        let status = ServiceStatus {
            service: "producer".into(),
            state: RunState::Finished.into(),
            ..ServiceStatus::default()
        };
        self.log.append(vec![status.to_append()]).await.unwrap();
    }

    /// Runs until everything there has been followed.
    async fn follow(&self, source: NewsSource) -> Result<(), NewsError> {
        drain(self.log.clone(), source).await
    }

    /// Runs until killed in the append after so many.
    async fn follow_until_killed(
        &self,
        source: NewsSource,
        appends: usize,
        broken: FailurePoint,
    ) -> Result<(), NewsError> {
        drain(Arc::new(FaultyLog::new(self.log.clone(), appends, broken)), source).await
    }

    /// Every record of the topic, partition after partition.
    async fn news(&self) -> Vec<Vec<Article>> {
        let mut partitions = Vec::new();
        for partition in 0..self.log.partitions() {
            let records = self.log.read(&NEWS_ARTICLES, partition, 0, usize::MAX >> 1).await.unwrap();
            partitions.push(records.iter().map(|r| serde_json::from_slice(&r.value).unwrap()).collect());
        }
        partitions
    }

    /// The only partition, each record as `seconds key <complete_until in minutes #position`.
    async fn outline(&self) -> Vec<String> {
        let only = self.news().await.remove(0);
        only.iter()
            .map(|article| {
                let seconds = (article.published_timestamp - BEGIN) / 1_000;
                let until = (article.complete_until - BEGIN) / MINUTE;
                let position = article.position.map_or(String::new(), |position| format!(" #{position}"));
                format!("{seconds} {} <{until}{position}", article.key())
            })
            .collect()
    }

    /// Source and reason of every dead letter, in order.
    async fn letters(&self) -> Vec<(String, String)> {
        let mut letters = Vec::new();
        for partition in 0..self.log.partitions() {
            for record in self.log.read(&DEAD_LETTERS, partition, 0, usize::MAX >> 1).await.unwrap() {
                let letter: DeadLetter = serde_json::from_slice(&record.value).unwrap();
                letters.push((letter.source, letter.reason));
            }
        }
        letters.sort();
        letters
    }

    async fn status(&self) -> ServiceStatus {
        control::status::last(&*self.log, Service::NewsWatcher).await.unwrap().unwrap()
    }
}

async fn drain(log: SharedLog, source: NewsSource) -> Result<(), NewsError> {
    let (stopper, stop) = channel();
    stopper.ask(Shutdown::Drain);
    run(log, source, stop).await
}

fn rows(rows: &[&str]) -> Vec<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}
