//! The watch over real sockets, by a clock that jumps to whatever is waited for.

mod event_time;
mod faults;
mod live;
mod pages;
mod preview;
mod restart;
mod schedule;
mod searches;
mod soak;
mod watchlist;

use model::service::Service;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use control::shutdown::{self, Shutdown, ShutdownHandle};
use control::watchlist::{Entry, Watchlist};
use log::{EmbeddedLog, FailurePoint, FaultyLog, SharedLog};
use model::status::{EntryState, ServiceStatus};
use model::time::{HOUR, MINUTE, Millis, SECOND};
use model::topic::{DEAD_LETTERS, NEWS_ARTICLES, SERVICE_STATUS};
use model::{Article, DeadLetter, Topic};
use net::Secret;
use tempfile::TempDir;
use testkit::guardian::{Guardian, Story};
use tokio::sync::watch;

use super::watch::Watch;
use super::{GuardianConfig, NewsError};
use feed::Clock;

/// A Monday in March 2026, 14:30:00 UTC.
const START: Millis = 1_772_461_800_000;
const KEY: &str = "hidden-key-4711";

/// A log, a server, a watchlist and a clock.
struct Place {
    _folder: TempDir,
    log: SharedLog,
    server: Guardian,
    clock: Arc<Jumps>,
    lists: watch::Sender<Watchlist>,
    config: GuardianConfig,
    states: Mutex<Vec<String>>,
}

impl Place {
    async fn new(entries: &[Entry]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 3).unwrap());
        let clock = Arc::new(Jumps::new(START));
        let time = clock.clone();
        let server = Guardian::start(KEY, move || time.now()).await;
        let config = GuardianConfig {
            url: server.url().into(),
            timeout: Duration::from_secs(10),
            ..GuardianConfig::new(Secret::new(KEY))
        };
        let lists = watch::Sender::new(Watchlist { version: 1, entries: entries.to_vec() });
        Place { _folder: folder, log, server, clock, lists, config, states: Mutex::default() }
    }

    /// The search `term` alone.
    async fn with_term(term: &str) -> Place {
        Place::new(&[entry("", term)]).await
    }

    /// Watches until the clock says `at`.
    async fn watch_until(&self, at: Millis) -> Result<(), NewsError> {
        let log = Arc::new(FaultyLog::new(self.log.clone(), usize::MAX, FailurePoint::Before));
        let outcome = self.watch_through(log.clone(), at).await;
        let said = log.appends().into_iter().flatten().filter(|append| append.topic == SERVICE_STATUS);
        let said = said.map(|append| serde_json::from_slice::<ServiceStatus>(&append.value).unwrap());
        self.states.lock().unwrap().extend(said.map(|status| status.state.to_string()));
        outcome
    }

    async fn watch_through(&self, log: SharedLog, at: Millis) -> Result<(), NewsError> {
        let (stopper, stop) = shutdown::channel();
        self.clock.end(at, stopper);
        let lists = self.lists.subscribe();
        Watch::open(log, self.config.clone(), lists, self.clock.clone(), || 1.0).await?.run(&stop).await
    }

    /// Every record of a topic, partition after partition.
    async fn records<T: serde::de::DeserializeOwned>(&self, topic: &Topic) -> Vec<Vec<T>> {
        let mut partitions = Vec::new();
        for partition in 0..self.log.partitions() {
            let records = self.log.read(topic, partition, 0, usize::MAX >> 1).await.unwrap();
            partitions.push(records.iter().map(|r| serde_json::from_slice(&r.value).unwrap()).collect());
        }
        partitions
    }

    /// Every version of every article, without the clocks.
    async fn versions(&self) -> Vec<Article> {
        let records = self.records::<Article>(&NEWS_ARTICLES).await;
        records.into_iter().flatten().filter(|article| !article.is_heartbeat()).collect()
    }

    /// The last version of each record, by identity, symbol and term.
    async fn articles(&self) -> BTreeMap<(String, String, String), Article> {
        let mut last: BTreeMap<_, Article> = BTreeMap::new();
        for article in self.versions().await {
            let symbol = article.symbol.clone().unwrap_or_default();
            let known = last.entry((article.id.clone(), symbol, article.search_term.clone()));
            let known = known.or_insert_with(|| article.clone());
            if article.received_timestamp >= known.received_timestamp {
                *known = article;
            }
        }
        last
    }

    /// The identities of all articles.
    async fn ids(&self) -> Vec<String> {
        self.articles().await.into_keys().map(|(id, ..)| id).collect()
    }

    /// The heartbeats of each partition.
    async fn clocks(&self) -> Vec<Vec<Millis>> {
        let records = self.records::<Article>(&NEWS_ARTICLES).await;
        let clocks = |partition: Vec<Article>| {
            partition.iter().filter(|a| a.is_heartbeat()).map(|a| a.published_timestamp).collect()
        };
        records.into_iter().map(clocks).collect()
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        self.records(&DEAD_LETTERS).await.into_iter().flatten().collect()
    }

    async fn status(&self) -> ServiceStatus {
        control::status::last(&*self.log, Service::NewsWatcher).await.unwrap().unwrap()
    }

    async fn state_of(&self, term: &str) -> EntryState {
        let entries = self.status().await.entries;
        entries.into_iter().find(|entry| entry.search_term.as_deref() == Some(term)).unwrap()
    }

    /// Every state that the service has said in whole runs.
    fn states(&self) -> Vec<String> {
        self.states.lock().unwrap().clone()
    }

    /// The key stands nowhere in the log.
    async fn assert_no_key(&self) {
        for topic in self.log.topics().await.unwrap() {
            for extent in self.log.extents(&topic).await.unwrap() {
                for record in self.log.read(&topic, extent.partition, 0, usize::MAX >> 1).await.unwrap() {
                    let text = String::from_utf8_lossy(&record.value).into_owned();
                    assert!(!text.contains(KEY), "{topic}: {text}");
                }
            }
        }
    }

    fn set(&self, entries: &[Entry]) {
        self.lists
            .send_modify(|list| *list = Watchlist { version: list.version + 1, entries: entries.into() });
    }

    /// What each call asked for, as `q#page`.
    fn asked(&self) -> Vec<String> {
        let calls = self.server.calls();
        calls.iter().map(|call| format!("{}#{}", call.parameter("q"), call.parameter("page"))).collect()
    }
}

/// An entry; without a symbol where that is empty.
fn entry(symbol: &str, term: &str) -> Entry {
    Entry {
        symbol: Some(symbol.to_owned()).filter(|symbol| !symbol.is_empty()),
        search_term: Some(term.into()),
        sections: Vec::new(),
    }
}

/// So many stories on `word`, one a minute up to `at`, the last one first.
fn stories(word: &str, count: usize, at: Millis) -> Vec<Story> {
    let story = |i: usize| {
        Story::new(&format!("{word}/{i:04}"), &format!("{word} story {i}"), at - i as Millis * MINUTE)
    };
    (0..count).map(story).collect()
}

/// What is to happen at a time.
type Job = Box<dyn FnOnce() + Send>;

/// A clock on which waiting takes no time; on the way it does what is to happen.
struct Jumps {
    now: AtomicI64,
    jobs: Mutex<BTreeMap<(Millis, usize), Job>>,
    end: Mutex<Option<(Millis, ShutdownHandle)>>,
}

impl Jumps {
    fn new(start: Millis) -> Jumps {
        Jumps { now: AtomicI64::new(start), jobs: Mutex::default(), end: Mutex::default() }
    }

    fn set(&self, now: Millis) {
        self.now.store(now, Ordering::SeqCst);
    }

    fn at(&self, time: Millis, job: impl FnOnce() + Send + 'static) {
        let mut jobs = self.jobs.lock().unwrap();
        let number = jobs.len();
        jobs.insert((time, number), Box::new(job));
    }

    /// Nobody watches until `until`; what is to happen happens.
    fn pass(&self, until: Millis) {
        let mut jobs = self.jobs.lock().unwrap();
        while let Some(job) = jobs.first_entry().filter(|job| job.key().0 <= until) {
            let ((time, _), job) = job.remove_entry();
            self.set(time.max(self.now()));
            job();
        }
        self.set(until);
    }

    fn end(&self, at: Millis, stopper: ShutdownHandle) {
        *self.end.lock().unwrap() = Some((at, stopper));
    }
}

#[async_trait]
impl Clock for Jumps {
    fn now(&self) -> Millis {
        self.now.load(Ordering::SeqCst)
    }

    async fn sleep_until(&self, at: Millis) {
        let end = self.end.lock().unwrap().as_ref().map_or(Millis::MAX, |(end, _)| *end);
        let job = {
            let mut jobs = self.jobs.lock().unwrap();
            let first = jobs.first_entry().filter(|job| job.key().0 <= at.min(end));
            first.map(|job| job.remove_entry())
        };
        if let Some(((time, _), job)) = job {
            self.set(time.max(self.now()));
            return job();
        }
        self.set(at.min(end).max(self.now()));
        if at >= end {
            self.end.lock().unwrap().as_ref().unwrap().1.ask(Shutdown::Drain);
            std::future::pending::<()>().await;
        }
    }
}
