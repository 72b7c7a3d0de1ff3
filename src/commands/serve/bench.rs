//! What a service works with, and how it works: whenever it holds the lease of
//! its name, so that a second instance stands by.

use std::sync::Arc;

use control::recompute;
use control::shutdown::Shutdown;
use futures::FutureExt;
use log::{KafkaLog, Lease, Log, SharedLog};
use ops::health::{Health, State};

use super::token::AnotherToken;
use super::{ENDS_WITHIN, Role};
use crate::commands::interrupt::Interrupt;
use crate::commands::refused;
use crate::commands::service::RunningService;
use crate::commands::services::{self, Page, Services};
use crate::commands::web::access;
use crate::config::Config;
use crate::data_folder::DataFolder;

/// What a service works with.
pub struct Bench {
    config: Config,
    run: String,
    log: Arc<KafkaLog>,
    health: Health,
}

/// Why the work was left.
pub enum Left {
    /// It has ended by itself, or after an interrupt.
    Ended,
    /// There is another token of the store or key of a source, to go on with.
    Renewed,
}

/// A service with what goes along with it, and what it alone may have.
struct Work {
    services: Vec<RunningService>,
    /// Owned as long as the work goes on.
    _folder: Option<DataFolder>,
}

impl Bench {
    pub fn of(config: Config, health: Health) -> anyhow::Result<Bench> {
        let run = config.run_name()?;
        let log = config.kafka_log(&run)?;
        Ok(Bench { config, run, log, health })
    }

    /// Says what begins, and over what.
    pub fn announce(&self, role: Role) {
        let kafka = &self.config.kafka.bootstrap_servers;
        tracing::info!(service = role.name(), run = self.run, kafka, "Starting.");
    }

    /// Works whenever it holds the lease, until it has ended, is interrupted, or
    /// there is another token.
    pub async fn work(
        &self,
        role: Role,
        interrupt: &Interrupt,
        token: &AnotherToken,
    ) -> anyhow::Result<Left> {
        let service = role.name();
        self.health.set(service, State::Starting);
        self.health.need_log(self.log.clone());
        let topics = services::topics(&self.config)?;
        tokio::select! {
            made = self.log.prepare(&topics) => made?,
            () = interrupt.asked() => return Ok(Left::Ended),
        }
        if !role.is_one_of_a_kind() {
            return self.start(role, self.log.clone()).await?.left(role, interrupt, token).await;
        }
        loop {
            self.health.set(service, State::StandingBy);
            let lease = tokio::select! {
                lease = self.log.lease(service) => lease?,
                () = interrupt.asked() => return Ok(Left::Ended),
            };
            let outcome = self.work_under_lease(role, &*lease, interrupt, token).await;
            // Giving it back waits for a thread.
            let _ = tokio::task::spawn_blocking(move || drop(lease)).await;
            match outcome? {
                None => {
                    tracing::warn!(service, "The lease has gone to another instance; this one stands by.");
                }
                Some(left) => {
                    if role == Role::Producer {
                        refused::bars(&*self.log).await?;
                    }
                    return Ok(left);
                }
            }
        }
    }

    /// Works until that is left, or until another instance takes over: then `None`.
    async fn work_under_lease(
        &self,
        role: Role,
        lease: &dyn Lease,
        interrupt: &Interrupt,
        token: &AnotherToken,
    ) -> anyhow::Result<Option<Left>> {
        let mut work = self.start(role, lease.log().unwrap_or_else(|| self.log.clone())).await?;
        tracing::info!(service = role.name(), "Working.");
        let left = tokio::select! {
            left = work.left(role, interrupt, token) => Some(left),
            () = lease.lost() => None,
        };
        match left {
            Some(Err(error)) if lease.lost().now_or_never().is_some() => {
                tracing::debug!(service = role.name(), %error, "The work ended with the lease.");
            }
            Some(left) => return left.map(Some),
            None => {
                // Where the lease is still this one's until it is given back, what is under
                // way is put in order; where it is not, the log refuses it.
                if let Err(error) = work.end(Shutdown::Stop).await {
                    tracing::debug!(service = role.name(), %error, "What was under way is dropped.");
                }
            }
        }
        Ok(None)
    }

    async fn start(&self, role: Role, log: SharedLog) -> anyhow::Result<Work> {
        let services = Services::new(&self.config, log, &self.health)?;
        let one = |service| Ok(Work { services: vec![service], _folder: None });
        match role {
            Role::Producer => one(services.producer(self.config.price_source()?)),
            Role::NewsWatcher => one(services.news_watcher(self.config.news_source()?)),
            Role::Engine => one(services.engine()),
            Role::Alerts => {
                let webhook = services::webhook_of(&self.config, &self.run);
                let webhook = webhook.map(|webhook| services.webhook(webhook));
                Ok(Work { services: [services.alerts()].into_iter().chain(webhook).collect(), _folder: None })
            }
            Role::Sink => {
                let (store, folder) = self.config.store_to_write(&self.run)?;
                Ok(Work { services: vec![services.sink(store, recompute::channel().1)], _folder: folder })
            }
            Role::Web => one(self.page().await?),
        }
    }

    /// The page gives up soon where Kafka does not answer: somebody waits for it.
    async fn page(&self) -> anyhow::Result<RunningService> {
        let access = access(&self.config)?;
        access.check(self.config.listen)?;
        let log: SharedLog = self.config.kafka_log_to_ask(&self.run)?;
        let store = self.config.store_to_read(&self.run)?;
        let listener = services::listen(self.config.listen).await?;
        let process = services::process_of(&self.config, &self.run)?;
        let page = Page { listener, store, access, process };
        Ok(Services::new(&self.config, log, &self.health)?.web(page))
    }
}

impl Work {
    /// Waits until there is a reason to leave it, and for what is under way then.
    async fn left(
        &mut self,
        role: Role,
        interrupt: &Interrupt,
        token: &AnotherToken,
    ) -> anyhow::Result<Left> {
        tokio::select! {
            outcome = self.ended(role, interrupt) => return outcome.map(|()| Left::Ended),
            () = token.comes() => {}
        }
        self.end(Shutdown::Stop).await?;
        Ok(Left::Renewed)
    }

    /// Waits for the end: by itself, or in order after an interrupt.
    async fn ended(&mut self, role: Role, interrupt: &Interrupt) -> anyhow::Result<()> {
        tokio::select! {
            outcome = self.any_ended() => return outcome,
            () = interrupt.asked() => {}
        }
        self.end(role.farewell()).await
    }

    async fn any_ended(&mut self) -> anyhow::Result<()> {
        let ends = self.services.iter_mut().map(|service| Box::pin(service.ended()));
        futures::future::select_all(ends).await.0
    }

    /// Asks for an end, and for a quicker one when that takes long.
    async fn end(&mut self, wish: Shutdown) -> anyhow::Result<()> {
        for service in &mut self.services {
            for wish in [wish, Shutdown::Stop] {
                service.ask(wish);
                if let Ok(outcome) = tokio::time::timeout(ENDS_WITHIN, service.ended()).await {
                    outcome?;
                    break;
                }
            }
        }
        Ok(())
    }
}
