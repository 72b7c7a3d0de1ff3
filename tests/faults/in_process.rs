//! The services in this process, each over a log and a store that may be
//! tampered with, killed between two steps of the sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use control::shutdown::{self, Shutdown};
use engine::Job;
use log::{EmbeddedLog, SharedLog};
use news_watcher::NewsSource;
use producer::{PriceSource, Speed};
use store::{EmbeddedStore, SharedStore};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{PATIENCE, Sandbox};
use crate::poison::{self, Poison};
use crate::tampered::{BadLog, BadStore, Pause, Write};

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
pub async fn play(sandbox: &Sandbox, build: Build, kills: &[Kill]) {
    make_folder(sandbox);
    for kill in kills.iter().map(Some).chain([None]) {
        live(sandbox, build, kill.copied()).await;
    }
}

/// One life of the process: until it is killed, or everything is written out.
pub async fn live(sandbox: &Sandbox, build: Build, kill: Option<Kill>) {
    let (log, store) = opened(sandbox);
    let mut store = (build.store)(store);
    let killed = Arc::new(Notify::new());
    if let Some(Kill { writes, after }) = kill {
        let write = Write::Until { left: writes.into(), after, killed: killed.clone() };
        store = Arc::new(BadStore { inner: store, write, is_blind: false });
    }
    let sink = ((build.sink_log)(log.clone()), store);
    let mut services = start(sandbox, log.clone(), (build.engine_log)(log), Some(sink));
    let lives = async {
        tokio::select! {
            () = killed.notified() => services.shutdown().await,
            () = to_the_end(&mut services) => {}
        }
    };
    timeout(PATIENCE, lives).await.unwrap();
}

fn opened(sandbox: &Sandbox) -> (SharedLog, SharedStore) {
    let folder = sandbox.path("data").join(RUN);
    let log = EmbeddedLog::open(&folder.join("log.db"), 1).unwrap();
    let store = EmbeddedStore::open(&folder.join("store.db")).unwrap();
    (Arc::new(log), Arc::new(store))
}

/// Starts the services, each over its log, with a sink where there is a store for it;
/// each ends once the one before it has.
fn start(
    sandbox: &Sandbox,
    log: SharedLog,
    engine_log: SharedLog,
    sink: Option<(SharedLog, SharedStore)>,
) -> JoinSet<()> {
    let mut services = JoinSet::new();
    let prices = PriceSource::Replay { file: sandbox.path("bars.csv"), speed: Speed::Max };
    let news = NewsSource::Replay { file: sandbox.path("news.csv") };
    let (sources, stop) = shutdown::channel();
    let (engine, stop_engine) = shutdown::channel();
    let (sink_stopper, stop_sink) = shutdown::channel();
    let (prices_stop, producer_log) = (stop.clone(), log.clone());
    let (sources_over, engine_over, sink_over) = (sources.clone(), engine.clone(), sink_stopper.clone());
    services.spawn(async move {
        producer::run(producer_log, prices, prices_stop).await.unwrap();
        sources_over.ask(Shutdown::Drain);
    });
    services.spawn(async move {
        news_watcher::run(log, news, stop).await.unwrap();
        engine_over.ask(Shutdown::Drain);
    });
    services.spawn(async move {
        engine::run(engine_log, Job::all().unwrap(), stop_engine).await.unwrap();
        sink_over.ask(Shutdown::Drain);
    });
    services.spawn(async move {
        if let Some((log, store)) = sink {
            sink::run(log, store, Job::all().unwrap(), stop_sink).await.unwrap();
        }
        // Kept until here: a service whose stopper is gone stops at once.
        drop((sources, engine, sink_stopper));
    });
    services
}

async fn to_the_end(services: &mut JoinSet<()>) {
    while let Some(ended) = services.join_next().await {
        ended.unwrap();
    }
}

/// Puts records of an impossible time onto the topics of data, while nobody works.
pub async fn put_far_ahead(sandbox: &Sandbox) -> Vec<Poison> {
    let (log, _) = opened(sandbox);
    let (poison, appends): (Vec<_>, Vec<_>) = poison::far_ahead(&*log).await.into_iter().unzip();
    log.append(appends).await.unwrap();
    poison
}

pub fn make_folder(sandbox: &Sandbox) {
    std::fs::create_dir_all(sandbox.path("data").join(RUN)).unwrap();
    sandbox.file("data/last-run", RUN);
}

/// Plays the market with a sink that is paused with records in its hands while another
/// takes over and works to the end; then it goes on, for one write at most.
pub async fn play_with_a_paused_sink(sandbox: &Sandbox, is_fenced: bool) {
    make_folder(sandbox);
    let (log, store) = opened(sandbox);
    let last = Arc::new(AtomicU64::new(1));
    let held_by = |number: u64| {
        let holder = is_fenced.then(|| (number, last.clone()));
        BadLog { holder, ..BadLog::sound(log.clone()) }
    };
    let (pause, killed) = (Arc::new(Pause::default()), Arc::new(Notify::new()));
    let first_log = Arc::new(BadLog { paused: Some(pause.clone()), ..held_by(1) });
    let write = Write::Until { left: i64::MAX.into(), after: true, killed: killed.clone() };
    let first_store = Arc::new(BadStore { inner: store.clone(), write, is_blind: false });
    let (_kept, never) = shutdown::channel();
    let first = sink::run(first_log, first_store.clone(), Job::all().unwrap(), never);
    let mut first = tokio::spawn(first);

    let mut others = start(sandbox, log.clone(), log.clone(), None);
    let reached = async { tokio::join!(to_the_end(&mut others), pause.reached.notified()) };
    timeout(PATIENCE, reached).await.unwrap();
    last.store(2, Ordering::SeqCst);
    let mut again = start(sandbox, log.clone(), log.clone(), Some((Arc::new(held_by(2)), store)));
    timeout(PATIENCE, to_the_end(&mut again)).await.unwrap();

    if let Write::Until { left, .. } = &first_store.write {
        left.store(0, Ordering::SeqCst);
    }
    pause.over.notify_one();
    let wrote = async {
        tokio::select! {
            () = killed.notified() => true,
            ended = &mut first => {
                assert!(ended.unwrap().is_err(), "it ended, and was not refused");
                false
            }
        }
    };
    let wrote = timeout(PATIENCE, wrote).await.unwrap();
    first.abort();
    assert_eq!(wrote, !is_fenced);
}
