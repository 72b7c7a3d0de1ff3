//! The services of the pipeline, each started over a log: the one place where they are wired.

use std::net::SocketAddr;
use std::time::Duration;

use alerts::webhook::Webhook;
use anyhow::Context;
use engine::Job;
use news_watcher::NewsSource;
use producer::PriceSource;
use store::SharedStore;
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use vitals::{Answering, State, Vitals};
use web::{Access, Process};
use wire::again::Ask;
use wire::log::SharedLog;
use wire::topic::{self, Topic};

use super::dead_letters;
use super::service::Service;
use crate::config::Config;

pub const PRODUCER: &str = "producer";
pub const NEWS_WATCHER: &str = "news-watcher";
pub const ENGINE: &str = "engine";
pub const ALERTS: &str = "alerts";
pub const WEBHOOK: &str = "webhook";
pub const SINK: &str = "sink";
pub const WEB: &str = "web";

/// What services work with.
pub struct Services {
    log: SharedLog,
    jobs: Vec<Job>,
    recompute_every: Duration,
    vitals: Vitals,
}

/// What the page works with, beside the log.
pub struct Page {
    pub listener: TcpListener,
    pub store: SharedStore,
    pub access: Access,
    pub process: Process,
}

impl Services {
    /// Services over `log`, looked after by `vitals`.
    ///
    /// # Errors
    /// When a job of `sql/` cannot be planned.
    pub fn new(config: &Config, log: SharedLog, vitals: &Vitals) -> anyhow::Result<Services> {
        vitals.need_log(log.clone());
        Ok(Services {
            log,
            jobs: config.jobs()?,
            recompute_every: config.recompute_every,
            vitals: vitals.clone(),
        })
    }

    pub fn producer(&self, prices: PriceSource) -> Service {
        let log = self.log_of(PRODUCER);
        Service::start(PRODUCER, |stop| producer::run(log, prices, stop))
    }

    pub fn news_watcher(&self, news: NewsSource) -> Service {
        let log = self.log_of(NEWS_WATCHER);
        Service::start(NEWS_WATCHER, |stop| news_watcher::run(log, news, stop))
    }

    pub fn engine(&self) -> Service {
        let (log, jobs) = (self.log_of(ENGINE), self.jobs.clone());
        Service::start(ENGINE, |stop| engine::run(log, jobs, stop))
    }

    pub fn alerts(&self) -> Service {
        let log = self.log_of(ALERTS);
        Service::start(ALERTS, |stop| alerts::run(log, stop))
    }

    pub fn webhook(&self, webhook: Webhook) -> Service {
        let log = self.log_of(WEBHOOK);
        Service::start(WEBHOOK, |stop| alerts::webhook::run(log, webhook, stop))
    }

    /// The sink, which also computes again what is `asked` for.
    pub fn sink(&self, store: SharedStore, asked: Receiver<Ask>) -> Service {
        self.vitals.need_store(store.clone());
        let (log, jobs, every) = (self.log_of(SINK), self.jobs.clone(), self.recompute_every);
        Service::start(SINK, |stop| sink::run_answering(every, asked, log, store, jobs, stop))
    }

    pub fn web(&self, page: Page) -> Service {
        let Page { listener, store, access, process } = page;
        self.vitals.need_store(store.clone());
        let log = self.log_of(WEB);
        Service::start(WEB, |stop| web::serve_in(listener, log, store, access, process, stop))
    }

    /// The log of a service that begins to work.
    fn log_of(&self, service: &'static str) -> SharedLog {
        self.vitals.set(service, State::Working);
        self.vitals.watched(service, self.log.clone())
    }
}

/// Where alerts are posted, if the settings name an address.
pub fn webhook_of(config: &Config, run: &str) -> Option<Webhook> {
    let webhook = config.webhook.clone()?;
    Some(Webhook::new(webhook.url, webhook.secret, run.split('/').next().unwrap_or_default()))
}

/// What the page may say and do beside reading: which keys there are, and how
/// dead letters are read again.
pub fn process_of(config: &Config) -> Process {
    Process { keys: config.keys(), read_again: Some(dead_letters::read_again()), ..Process::default() }
}

/// The page's address, listened at.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} cannot be listened at: is it in use? Choose another with --listen or web.listen")
    })
}

/// Tells health and metrics, where the settings name an address.
pub async fn tell(vitals: &Vitals, address: Option<SocketAddr>) -> anyhow::Result<Option<Answering>> {
    let Some(address) = address else { return Ok(None) };
    let answering = vitals.answer(address).await.with_context(|| {
        format!("{address} cannot be listened at: is it in use? Choose another with metrics.listen")
    })?;
    Ok(Some(answering))
}

/// Every topic of the pipeline.
pub fn topics(jobs: &[Job]) -> Vec<Topic> {
    let ours = [
        topic::STOCK_PRICES,
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
    ];
    ours.into_iter().chain(jobs.iter().map(|job| job.topic.clone())).collect()
}
