//! A wall clock by hand, a feed, a history and a log.

use model::service::Service;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use control::shutdown::{Shutdown, ShutdownHandle, channel};
use control::watchlist::{Entry, Watchlist};
use log::{Append, EmbeddedLog, Extent, Log, LogError, Position, Reader, Record, SharedLog};
use model::status::ServiceStatus;
use model::time::{MINUTE, Millis, SECOND};
use model::topic::{DEAD_LETTERS, GAPS, STOCK_PRICES};
use model::{Bar, DeadLetter, Gap, Topic};
use net::Secret;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use testkit::massive::{Feed, History, MinuteBar, Script};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ProducerError;
use crate::polygon::PolygonFeed;
use feed::Clock;
use feed::price::{FeedSettings, PriceFeed, Pulse, run};

/// How long a test waits for something to happen before it fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// A Friday, 10:00 in New York.
pub(super) const OPEN: Millis = 1_795_186_800_000;
/// What the feed and the history take.
pub(super) const KEY: &str = testkit::massive::KEY;

/// A wall clock that stands still until it is set.
pub(crate) struct HandWall(watch::Sender<Millis>);

impl HandWall {
    pub(crate) fn at(now: Millis) -> HandWall {
        HandWall(watch::Sender::new(now))
    }

    pub(crate) fn set(&self, now: Millis) {
        self.0.send_replace(now);
    }
}

#[async_trait]
impl Clock for HandWall {
    fn now(&self) -> Millis {
        *self.0.borrow()
    }

    async fn sleep_until(&self, at: Millis) {
        let _ = self.0.subscribe().wait_for(|now| *now >= at).await;
    }
}

/// Everything that a live producer has around it.
pub(super) struct Place {
    _folder: TempDir,
    pub(super) log: SharedLog,
    pub(super) clock: Arc<HandWall>,
    pub(super) feed: Feed,
    pub(super) history: History,
    pub(super) config: FeedSettings,
    pub(super) pulse: Pulse,
    list: watch::Sender<Watchlist>,
    running: Option<(JoinHandle<Result<(), ProducerError>>, ShutdownHandle)>,
}

impl Place {
    /// With a script for the feed, at [`OPEN`], watching `symbols`.
    pub(super) async fn new(script: Script, symbols: &[&str]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let (feed, history) = (Feed::start(script).await, History::start(KEY).await);
        let config = FeedSettings {
            websocket_url: feed.url(),
            rest_url: history.url(),
            api_key: Secret::new(KEY),
            feed_delay: Duration::ZERO,
            calls_per_minute: 1_000,
            ..PolygonFeed::DESCRIPTION.settings()
        };
        let place = Place {
            _folder: folder,
            log,
            clock: Arc::new(HandWall::at(OPEN)),
            feed,
            history,
            config,
            pulse: Pulse::default(),
            list: watch::Sender::default(),
            running: None,
        };
        place.watch(symbols);
        place
    }

    /// Started and subscribed, with nothing missing.
    pub(super) async fn running(symbols: &[&str]) -> Place {
        let mut place = Place::new(Script::default(), symbols).await;
        place.start();
        place.until_state("running").await;
        place
    }

    pub(super) fn watch(&self, symbols: &[&str]) {
        let entry =
            |symbol: &&str| Entry { symbol: Some((*symbol).into()), search_term: None, sections: vec![] };
        self.list.send_modify(|list| {
            *list = Watchlist { version: list.version + 1, entries: symbols.iter().map(entry).collect() };
        });
    }

    pub(super) fn start(&mut self) {
        self.start_on(self.log.clone());
    }

    pub(super) fn start_on(&mut self, log: SharedLog) {
        let (stopper, stop) = channel();
        let (config, clock, list) = (self.config.clone(), self.clock.clone(), self.list.subscribe());
        let pulse = self.pulse;
        let producer =
            async move { Ok(run(log, PolygonFeed::new(config)?, list, clock, pulse, stop).await?) };
        self.running = Some((tokio::spawn(producer), stopper));
    }

    /// Stops the producer in order.
    pub(super) async fn stop(&mut self) {
        let (producer, stopper) = self.running.take().unwrap();
        stopper.ask(Shutdown::Stop);
        producer.await.unwrap().unwrap();
    }

    /// Kills the producer where it is.
    pub(super) async fn kill(&mut self) {
        let (producer, _stopper) = self.running.take().unwrap();
        producer.abort();
        let _ = producer.await;
        // What it had asked the log to write is written before this.
        let last = ServiceStatus { service: "test".into(), ..ServiceStatus::default() };
        self.log.append(vec![last.to_append()]).await.unwrap();
    }

    /// The error with which the producer ends by itself.
    pub(super) async fn failure(&mut self) -> String {
        let (producer, _stopper) = self.running.take().unwrap();
        producer.await.unwrap().unwrap_err().to_string()
    }

    pub(super) fn pass(&self, time: Millis) {
        self.clock.set(self.clock.now() + time);
    }

    /// Lets time pass second by second until `holds`.
    pub(super) async fn pass_until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            self.pass(SECOND);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits, at a standing clock, until `holds` of what the log has.
    pub(super) async fn until<T: DeserializeOwned>(
        &self,
        what: &str,
        topic: Topic,
        holds: impl Fn(&[T]) -> bool,
    ) -> Vec<T> {
        let begun = Instant::now();
        loop {
            let all = self.all(&topic).await;
            if holds(&all) {
                return all;
            }
            if begun.elapsed() > PATIENCE {
                let prices = self.outline().await;
                panic!("never: {what}; the log has {prices:?}, {:?}", self.status().await);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn all<T: DeserializeOwned>(&self, topic: &Topic) -> Vec<T> {
        let records = self.log.read(topic, 0, 0, usize::MAX >> 1).await.unwrap();
        records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
    }

    /// Waits until the log has so many bars, corrections included.
    pub(super) async fn until_bars(&self, count: usize) -> Vec<Bar> {
        let enough = |bars: &[Bar]| bars.iter().filter(|bar| !bar.is_heartbeat()).count() >= count;
        let bars = self.until(&format!("{count} bars"), STOCK_PRICES, enough).await;
        bars.into_iter().filter(|bar| !bar.is_heartbeat()).collect()
    }

    /// Waits until the log says that it is complete until so many minutes after [`OPEN`].
    pub(super) async fn until_complete(&self, minutes: i64) {
        let complete = |bars: &[Bar]| bars.iter().any(|bar| bar.complete_until == OPEN + minutes * MINUTE);
        self.until(&format!("complete until {minutes}"), STOCK_PRICES, complete).await;
    }

    pub(super) async fn until_letters(&self, count: usize) -> Vec<DeadLetter> {
        self.until(&format!("{count} dead letters"), DEAD_LETTERS, |all: &[DeadLetter]| all.len() >= count)
            .await
    }

    pub(super) async fn until_gaps(&self, count: usize) -> Vec<Gap> {
        self.until(&format!("{count} gaps"), GAPS, |all: &[Gap]| all.len() >= count).await
    }

    pub(super) async fn until_state(&self, state: &str) {
        let said =
            |all: &[ServiceStatus]| all.last().is_some_and(|last| last.state.text().starts_with(state));
        self.until(&format!("state {state}"), model::topic::SERVICE_STATUS, said).await;
    }

    /// Waits until the status counts so many.
    pub(super) async fn until_count(&self, name: &str, count: u64) {
        let said = |all: &[ServiceStatus]| all.last().and_then(|last| last.counts.get(name)) == Some(&count);
        self.until(&format!("{count} {name}"), model::topic::SERVICE_STATUS, said).await;
    }

    pub(super) async fn status(&self) -> Option<ServiceStatus> {
        control::status::last(&*self.log, Service::Producer).await.unwrap()
    }

    /// What `stock-prices` has, each as `minute symbol <complete until`, in minutes after [`OPEN`].
    pub(super) async fn outline(&self) -> Vec<String> {
        let minute = |at: Millis| (at - OPEN).div_euclid(MINUTE);
        let bars: Vec<Bar> = self.all(&STOCK_PRICES).await;
        bars.iter()
            .map(|bar| {
                format!("{} {} <{}", minute(bar.start_timestamp), bar.symbol, minute(bar.complete_until))
            })
            .collect()
    }
}

/// The bar of a symbol that starts so many minutes after [`OPEN`].
pub(super) fn bar(symbol: &str, minute: i64) -> MinuteBar {
    MinuteBar::new(symbol, OPEN + minute * MINUTE, 100.0, 10.0 + minute.abs() as f64)
}

/// A log whose appends wait while it is shut.
pub(super) struct Gate {
    log: SharedLog,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(super) fn new(log: SharedLog) -> Gate {
        Gate { log, open: watch::Sender::new(true) }
    }

    pub(super) fn set(&self, open: bool) {
        self.open.send_replace(open);
    }
}

#[async_trait]
impl Log for Gate {
    async fn append(&self, records: Vec<Append>) -> Result<(), LogError> {
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        self.log.append(records).await
    }

    fn is_live(&self) -> bool {
        self.log.is_live()
    }

    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    async fn extents(&self, topic: &Topic) -> Result<Vec<Extent>, LogError> {
        self.log.extents(topic).await
    }

    async fn read(&self, topic: &Topic, part: u32, from: u64, limit: usize) -> Result<Vec<Record>, LogError> {
        self.log.read(topic, part, from, limit).await
    }

    async fn offset_at(&self, topic: &Topic, partition: u32, at: Millis) -> Result<u64, LogError> {
        self.log.offset_at(topic, partition, at).await
    }

    async fn reader(&self, name: &str, topics: &[Topic]) -> Result<Box<dyn Reader>, LogError> {
        self.log.reader(name, topics).await
    }

    async fn committed(&self, name: &str) -> Result<Vec<Position>, LogError> {
        self.log.committed(name).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.log.topics().await
    }

    async fn appended(&self, wait: Duration) {
        self.log.appended(wait).await;
    }
}
