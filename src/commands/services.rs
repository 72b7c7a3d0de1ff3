//! The services of the pipeline, each started over a log: the one place where they are wired.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alerts::webhook::Webhook;
use anyhow::Context;
use control::recompute::Ask;
use control::shutdown::ShutdownToken;
use engine::Job;
use log::{Log, SharedLog};
use model::AssetClass;
use model::service::{Activity, RunState, Service};
use model::status::ServiceStatus;
use model::time;
use model::topic::{self, Topic};
use news_watcher::NewsSource;
use ops::health::{Answering, Health, State};
use producer::PriceSource;
use query::explore::Explorer;
use store::SharedStore;
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use web::{Access, Process};

use super::dead_letters;
use super::service::RunningService;
use crate::apart;
use crate::config::Config;

/// How long the word that a service has ended may take.
const LAST_WORD: Duration = Duration::from_millis(500);
/// The longest reason of an end that is said, in characters.
const LONGEST_REASON: usize = 300;

/// What services work with.
pub struct Services {
    log: SharedLog,
    jobs: Vec<Job>,
    classes: Vec<AssetClass>,
    recompute_every: Duration,
    health: Health,
}

/// What the page works with, beside the log.
pub struct Page {
    pub listener: TcpListener,
    pub store: SharedStore,
    pub access: Access,
    pub process: Process,
}

impl Services {
    /// Services over `log`, looked after by `health`.
    ///
    /// # Errors
    /// When a job of `sql/` cannot be planned.
    pub fn new(config: &Config, log: SharedLog, health: &Health) -> anyhow::Result<Services> {
        health.need_log(log.clone());
        health.watch_disk(disk_of(config));
        let classes = config.classes()?;
        Ok(Services {
            log,
            jobs: config.jobs(&classes)?,
            classes,
            recompute_every: config.recompute_every,
            health: health.clone(),
        })
    }

    /// The classes whose bars the run has.
    pub fn classes(&self) -> &[AssetClass] {
        &self.classes
    }

    pub fn producer(&self, prices: PriceSource) -> RunningService {
        let log = self.log_of(Service::Producer);
        self.start(Service::Producer, |stop| producer::run(log, prices, stop))
    }

    pub fn news_watcher(&self, news: NewsSource) -> RunningService {
        let (log, classes) = (self.log_of(Service::NewsWatcher), self.classes.clone());
        self.start(Service::NewsWatcher, |stop| async move {
            news_watcher::run_beside(&classes, log, news, stop).await
        })
    }

    pub fn engine(&self) -> RunningService {
        let (log, jobs) = (self.log_of(Service::Engine), self.jobs.clone());
        self.start(Service::Engine, |stop| engine::run(log, jobs, stop))
    }

    pub fn alerts(&self) -> RunningService {
        let log = self.log_of(Service::Alerts);
        self.start(Service::Alerts, |stop| alerts::run(log, stop))
    }

    pub fn webhook(&self, webhook: Webhook) -> RunningService {
        let log = self.log_of(Service::Webhook);
        self.start(Service::Webhook, |stop| alerts::webhook::run(log, webhook, stop))
    }

    /// The sink, which also computes again what is `asked` for.
    pub fn sink(&self, store: SharedStore, asked: Receiver<Ask>) -> RunningService {
        self.health.need_store(store.clone());
        let (log, jobs, every) = (self.log_of(Service::Sink), self.jobs.clone(), self.recompute_every);
        self.start(Service::Sink, |stop| sink::run_answering(every, asked, log, store, jobs, stop))
    }

    pub fn web(&self, page: Page) -> RunningService {
        let Page { listener, store, access, process } = page;
        self.health.need_store(store.clone());
        let health = self.health.clone();
        let observe: web::Observe =
            Arc::new(move |method, route, status, took| health.answered(method, route, status, took));
        let process = Process { observe: Some(observe), classes: self.classes.clone(), ..process };
        let log = self.log_of(Service::Web);
        RunningService::start(Service::Web, |stop| web::serve_in(listener, log, store, access, process, stop))
    }

    /// Starts a service that says of itself how it fares. Once it has ended it is
    /// never shown as running: where it does not say so itself, it is said for it.
    fn start<W, E>(&self, name: Service, work: impl FnOnce(ShutdownToken) -> W) -> RunningService
    where
        W: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<anyhow::Error> + Send + 'static,
    {
        let (log, health) = (self.log.clone(), self.health.clone());
        RunningService::start(name, |stop| {
            let work = work(stop);
            async move {
                let outcome = work.await.map_err(Into::into);
                let last_word = say_ended(&*log, &health, name, outcome.as_ref().err());
                // A log that does not answer holds nothing up: it may be why the service ended.
                let _ = tokio::time::timeout(LAST_WORD, last_word).await;
                outcome
            }
        })
    }

    /// The log of a service that begins to work.
    fn log_of(&self, service: Service) -> SharedLog {
        self.health.set(service.name(), State::Working);
        self.health.watched(service.name(), self.log.clone())
    }
}

/// Says that a service has ended, unless it has said so.
async fn say_ended(log: &dyn Log, health: &Health, name: Service, error: Option<&anyhow::Error>) {
    let Some(last) = health.said(name.name()) else { return };
    let has_ended = last.state.run().has_ended();
    if has_ended {
        return;
    }
    let state = match error {
        // The whole of it is in the program's own messages.
        Some(error) => Activity::new(
            RunState::Failed,
            format!("failed: {}", error.to_string().chars().take(LONGEST_REASON).collect::<String>()),
        ),
        None => RunState::Stopped.into(),
    };
    let status = ServiceStatus { state, at: time::now(), ..last };
    if let Err(error) = log.append(vec![status.to_append()]).await {
        tracing::debug!(%name, %error, "the end of a service could not be said");
    }
}

/// A path on the disk of the data: the data folder, or where everything lies elsewhere,
/// the root of this file system, which in a container is on the disk of its engine and
/// so of the volumes beside it.
fn disk_of(config: &Config) -> PathBuf {
    if config.data_dir.exists() { config.data_dir.clone() } else { PathBuf::from("/") }
}

/// Where alerts are posted, if the settings name an address.
pub fn webhook_of(config: &Config, run: &str) -> Option<Webhook> {
    let webhook = config.webhook.clone()?;
    Some(Webhook::new(webhook.url, webhook.secret, run.split('/').next().unwrap_or_default()))
}

/// What the page may say and do beside reading: which keys there are, and how
/// dead letters are read again.
///
/// # Errors
/// When there is no token for the store that questions are asked about.
pub fn process_of(config: &Config, run: &str) -> anyhow::Result<Process> {
    Ok(Process {
        keys: config.keys(),
        read_again: Some(dead_letters::read_again()),
        explorer: Some(Explorer::apart(apart::of(config, run)?, web::QUERY_LIMITS)),
        ..Process::default()
    })
}

/// The page's address, listened at.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} cannot be listened at: is it in use? Choose another with --listen or web.listen")
    })
}

/// Tells health and metrics, where the settings name an address.
pub async fn tell(health: &Health, address: Option<SocketAddr>) -> anyhow::Result<Option<Answering>> {
    let Some(address) = address else { return Ok(None) };
    let answering = health.answer(address).await.with_context(|| {
        format!("{address} cannot be listened at: is it in use? Choose another with metrics.listen")
    })?;
    Ok(Some(answering))
}

/// Every topic of the pipeline under these settings.
///
/// # Errors
/// When a job or a replayed file cannot be read.
pub fn topics(config: &Config) -> anyhow::Result<Vec<Topic>> {
    let classes = config.classes()?;
    Ok(topics_of(&classes, &config.jobs(&classes)?))
}

/// Every topic of the pipeline with bars of these classes and these jobs. The alerts
/// follow the signals of stocks, whose topic is there whatever the class.
pub fn topics_of(classes: &[AssetClass], jobs: &[Job]) -> Vec<Topic> {
    let ours = [
        topic::NEWS_ARTICLES,
        topic::WATCHLIST,
        topic::WATCHLIST_HISTORY,
        topic::ALERT_RULES,
        topic::ALERT_RULES_HISTORY,
        topic::ALERT_STATE,
        topic::ALERTS,
        topic::SERVICE_STATUS,
        topic::PREVIEW_QUESTIONS,
        topic::PREVIEWS,
        topic::GAPS,
        topic::DEAD_LETTERS,
        topic::LEASES,
        topic::LOG_FORMAT,
    ];
    let bars = classes.iter().map(|class| class.raw_topic());
    let results = jobs.iter().map(|job| job.topic.clone());
    let mut topics: Vec<Topic> = bars.chain(ours).chain(results).collect();
    if !topics.contains(&alerts::signals()) {
        topics.push(alerts::signals());
    }
    topics
}

#[cfg(test)]
mod tests {
    use control::status::Report;
    use log::EmbeddedLog;

    use super::*;

    /// What a service that ends with `outcome` after its last word is shown as.
    async fn shown(last: &str, outcome: anyhow::Result<()>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let health = Health::default();
        let services = Services {
            log: log.clone(),
            jobs: Vec::new(),
            classes: vec![AssetClass::Stocks],
            recompute_every: Duration::ZERO,
            health: health.clone(),
        };
        let said = ServiceStatus {
            service: Service::Sink.into(),
            state: Activity::of_text(last),
            ..ServiceStatus::default()
        };
        let ours = services.log_of(Service::Sink);
        let mut service = services.start(Service::Sink, move |_| async move {
            ours.append(vec![Report::new(said).say()]).await?;
            outcome
        });
        let _ = service.ended().await;
        control::status::last(&*log, Service::Sink).await.unwrap().unwrap().state.to_string()
    }

    #[tokio::test]
    async fn a_service_that_has_ended_is_not_shown_as_running() {
        assert_eq!(shown("running", Ok(())).await, "stopped");
        let failed = shown("running", Err(anyhow::anyhow!("the disk is full"))).await;
        assert_eq!(failed, "failed: the disk is full");
        assert_eq!(shown("finished", Ok(())).await, "finished");
    }
}
