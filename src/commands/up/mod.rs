//! `tickwire up`: the whole pipeline in this process.

mod announce;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use control::shutdown::Shutdown;
use files::FileError;
use log::SharedLog;
use news_watcher::NewsError;
use ops::health::Health;
use producer::ProducerError;
use store::{EmbeddedStore, SharedStore};
use web::Access;

use super::interrupt::Interrupt;
use super::refused;
use super::service::RunningService;
use super::services::{self, Page, Services};
use crate::cli::UpArgs;
use crate::commands::web::access;
use crate::config::{Config, LogKind, Sources, StoreKind};
use crate::data_folder::DataFolder;
use retention::Kind;

/// How long an interrupted pipeline may go on to write out what is under way.
const DRAIN_LIMIT: Duration = Duration::from_secs(4);

/// Runs until interrupted, or with `--exit-when-done` until a replay is written out.
pub async fn run(config: Config, args: UpArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen();
    let exit_when_done = args.exit_when_done;
    let config = with_flags(config, args);
    if config.log == LogKind::Kafka {
        anyhow::bail!(
            "`tickwire up` keeps its log in the data folder: leave log = \"kafka\" (TICKWIRE_LOG) out, or run `tickwire producer`, `news-watcher`, `engine`, `sink`, `alerts` and `web`, each by itself"
        );
    }
    let sources = config.sources()?;
    if exit_when_done && !is_replay(&sources) {
        anyhow::bail!("--exit-when-done goes with a replay (--prices replay:FILE): anything else never ends");
    }
    if let producer::PriceSource::Replay { file, .. } = &sources.prices {
        // Fails here, with its reason, before anything is written.
        files::bars(file)?;
    }
    let token = web::command_token()?;
    let access = Access { command_token: Some(token.clone()), ..access(&config)? };
    access.check(config.listen)?;
    let listener = services::listen(config.listen).await?;
    let health = Health::default();
    let _answering = services::tell(&health, config.metrics).await?;
    let folder = DataFolder::own(&config.data_dir, &sources)?;
    let log = folder.log()?;
    let (store, embedded) = store_of(&config, &folder)?;
    let _told = folder.tell_address(listener.local_addr()?, &token)?;
    announce::print(listener.local_addr()?, &config, &sources, &folder.run, &*log).await?;
    let live = sources.are_live();
    let webhook = services::webhook_of(&config, &folder.run);
    let services = Services::new(&config, log.clone(), &health)?;
    let (classes, kind) = (services.classes().to_vec(), Kind::of(&sources));
    let keeping = tokio::spawn(retention::keep(log.clone(), embedded, classes, config.clone(), kind));
    let (again, asked) = control::recompute::channel();
    let process = web::Process { again: Some(again), ..services::process_of(&config, &folder.run)? };
    let page = Page { listener, store: store.clone(), access, process };
    let mut pipeline = Pipeline {
        log,
        // The sources start last: their first records find everybody at work.
        web: services.web(page),
        followers: [services.engine(), services.alerts(), services.sink(store, asked)]
            .into_iter()
            .chain(webhook.map(|webhook| services.webhook(webhook)))
            .collect(),
        news: services.news_watcher(sources.news),
        prices: services.producer(sources.prices),
    };
    let outcome = pipeline.watch(&interrupt, live, exit_when_done).await;
    keeping.abort();
    outcome
}

/// The store of a run; where it is in the data folder also as what can forget.
fn store_of(
    config: &Config,
    folder: &DataFolder,
) -> anyhow::Result<(SharedStore, Option<Arc<EmbeddedStore>>)> {
    match config.store {
        StoreKind::Influxdb => Ok((config.influx_store(&folder.run)?, None)),
        StoreKind::Embedded => {
            let store = folder.store()?;
            Ok((store.clone(), Some(store)))
        }
    }
}

fn with_flags(config: Config, args: UpArgs) -> Config {
    Config {
        data_dir: args.data_dir.unwrap_or(config.data_dir),
        listen: args.listen.unwrap_or(config.listen),
        prices: args.prices.or(config.prices),
        news: args.news.or(config.news),
        speed: args.speed.unwrap_or(config.speed),
        ..config
    }
}

fn is_replay(sources: &Sources) -> bool {
    matches!(sources.prices, producer::PriceSource::Replay { .. })
}

/// The services, in the order in which data flows through them.
struct Pipeline {
    log: SharedLog,
    prices: RunningService,
    news: RunningService,
    /// Engine, alerts, sink, then webhook: each drains what those before it wrote.
    followers: Vec<RunningService>,
    web: RunningService,
}

impl Pipeline {
    async fn watch(&mut self, interrupt: &Interrupt, live: bool, exit_when_done: bool) -> anyhow::Result<()> {
        let mut news_cut_off = None;
        let failed = loop {
            tokio::select! {
                () = interrupt.asked() => break None,
                outcome = self.prices.ended(), if self.prices.is_running() => {
                    let cut_off = match outcome {
                        Ok(()) => None,
                        Err(error) if is_cut_off(&error) => Some(error),
                        Err(error) => break Some(error),
                    };
                    refused::bars(&*self.log).await?;
                    if exit_when_done {
                        let told = !self.news.is_running();
                        tokio::select! {
                            outcome = drain(&mut self.news, &mut self.followers) => {
                                if !told {
                                    refused::articles(&*self.log).await?;
                                }
                                break cut_off.or(news_cut_off).or(outcome.err());
                            }
                            () = interrupt.asked() => break None,
                        }
                    }
                    // The replay is over; the page stays, and shows a service that failed.
                    if let Some(error) = cut_off {
                        tracing::error!("{error:#}");
                    }
                }
                outcome = self.news.ended(), if self.news.is_running() => match outcome {
                    Err(error) if is_cut_off(&error) => {
                        tracing::error!("{error:#}");
                        news_cut_off = Some(error);
                    }
                    Err(error) if live => tracing::error!("News stopped, prices go on without: {error:#}"),
                    Err(error) => break Some(error),
                    Ok(()) => refused::articles(&*self.log).await?,
                },
                outcome = any_ended(&mut self.followers, &mut self.web) => break outcome.err(),
            }
        };
        self.stop(failed).await
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        self.prices.ended().await?;
        drain(&mut self.news, &mut self.followers).await
    }

    /// Stops the sources, lets the rest write out what is under way, and ends.
    async fn stop(&mut self, failed: Option<anyhow::Error>) -> anyhow::Result<()> {
        self.prices.ask(Shutdown::Stop);
        let outcome = match failed {
            Some(error) => Err(error),
            None => tokio::time::timeout(DRAIN_LIMIT, self.drain()).await.unwrap_or(Ok(())),
        };
        // Whatever is left ends now; what it has not written out it reads again at the next start.
        for service in self.followers.iter_mut().chain([&mut self.prices, &mut self.news, &mut self.web]) {
            service.ask(Shutdown::Stop);
            let _ = tokio::time::timeout(DRAIN_LIMIT, service.ended()).await;
        }
        outcome
    }
}

/// Lets each service finish what those before it wrote, in order; also where news were cut off.
async fn drain(news: &mut RunningService, followers: &mut [RunningService]) -> anyhow::Result<()> {
    let mut cut_off = None;
    for service in [news].into_iter().chain(followers) {
        service.ask(Shutdown::Drain);
        match service.ended().await {
            Err(error) if is_cut_off(&error) => cut_off = Some(error),
            outcome => outcome?,
        }
    }
    cut_off.map_or(Ok(()), Err)
}

/// Whether a source ended because its file could not be read to its end. It has played what
/// stands before that place, which is kept and written out.
fn is_cut_off(error: &anyhow::Error) -> bool {
    let of_prices = match error.downcast_ref::<ProducerError>() {
        Some(ProducerError::File(file)) => Some(file),
        _ => None,
    };
    let of_news = match error.downcast_ref::<NewsError>() {
        Some(NewsError::File(file)) => Some(file),
        _ => None,
    };
    matches!(of_prices.or(of_news), Some(FileError::Unread { .. }))
}

/// Waits until a service ends by itself, which only a failure makes it do.
async fn any_ended(followers: &mut [RunningService], web: &mut RunningService) -> anyhow::Result<()> {
    let ends = followers.iter_mut().chain([web]).map(|service| Box::pin(service.ended()));
    futures::future::select_all(ends).await.0
}
