//! The services in this process, each over a log and a store that may be
//! tampered with, killed between two steps of the sink.

use std::sync::Arc;

use control::stop::{self, Wish};
use engine::Job;
use log::{EmbeddedLog, SharedLog};
use news_watcher::NewsSource;
use producer::{PriceSource, Speed};
use store::{EmbeddedStore, SharedStore};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::harness::Desk;
use crate::tampered::{BadStore, Write};

const RUN: &str = "replayed/in-process";

/// What each service is given in the place of the log and the store.
#[derive(Clone, Copy)]
pub struct Build {
    pub engine_log: fn(SharedLog) -> SharedLog,
    pub sink_log: fn(SharedLog) -> SharedLog,
    pub store: fn(SharedStore) -> SharedStore,
}

/// The build as it is.
pub const SOUND: Build = Build { engine_log: |log| log, sink_log: |log| log, store: |store| store };

/// When the process is killed: at a write of the sink, before or after it.
#[derive(Clone, Copy)]
pub struct Kill {
    pub writes: i64,
    pub after: bool,
}

/// Plays `bars.csv` and `news.csv` of the desk under some kills, then to the end.
pub async fn play(desk: &Desk, build: Build, kills: &[Kill]) {
    std::fs::create_dir_all(desk.path("data").join(RUN)).unwrap();
    desk.file("data/last-run", RUN);
    for kill in kills.iter().map(Some).chain([None]) {
        live(desk, build, kill.copied()).await;
    }
}

/// One life of the process: until it is killed, or everything is written out.
async fn live(desk: &Desk, build: Build, kill: Option<Kill>) {
    let folder = desk.path("data").join(RUN);
    let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.join("log.db"), 1).unwrap());
    let mut store: SharedStore =
        (build.store)(Arc::new(EmbeddedStore::open(&folder.join("store.db")).unwrap()));
    let killed = Arc::new(Notify::new());
    if let Some(Kill { writes, after }) = kill {
        let write = Write::Until { left: writes.into(), after, killed: killed.clone() };
        store = Arc::new(BadStore { inner: store, write });
    }
    let mut services = JoinSet::new();
    let prices = PriceSource::Replay { file: desk.path("bars.csv"), speed: Speed::Max };
    let news = NewsSource::Replay { file: desk.path("news.csv") };
    // Kept until the end: a service whose stopper is gone stops at once.
    let (sources, stop) = stop::channel();
    let (engine, stop_engine) = stop::channel();
    let (sink, stop_sink) = stop::channel();
    let (prices_stop, producer_log) = (stop.clone(), log.clone());
    let (sources_over, engine_over, sink_over) = (sources.clone(), engine.clone(), sink.clone());
    let (engine_log, sink_log) = ((build.engine_log)(log.clone()), (build.sink_log)(log.clone()));
    let jobs = Job::all().unwrap();
    services.spawn(async move {
        producer::run(producer_log, prices, prices_stop).await.unwrap();
        sources_over.ask(Wish::Drain);
    });
    services.spawn(async move {
        news_watcher::run(log, news, stop).await.unwrap();
        engine_over.ask(Wish::Drain);
    });
    services.spawn(async move {
        engine::run(engine_log, Job::all().unwrap(), stop_engine).await.unwrap();
        sink_over.ask(Wish::Drain);
    });
    services.spawn(async move { sink::run(sink_log, store, jobs, stop_sink).await.unwrap() });
    tokio::select! {
        () = killed.notified() => services.shutdown().await,
        () = async { while let Some(ended) = services.join_next().await { ended.unwrap() } } => {}
    }
    drop((sources, engine, sink));
}
