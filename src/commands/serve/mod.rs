//! One service of a distributed pipeline: `tickwire producer`, `engine`, `sink` …
//!
//! What keeps it from working is told, in the log and at `/readyz`, and tried
//! again: somebody may start a Kafka, correct a token or mount a secret meanwhile.

mod bench;
mod role;
mod token;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use futures::FutureExt;
use net::RetryPolicy;
use ops::health::{Health, State};
use tokio::time::Instant;

use super::interrupt::Interrupt;
use super::services;
use crate::config::{self, Config, LogKind};
use bench::{Bench, Left};
pub use role::Role;
use token::AnotherToken;

/// How long a service that is asked to end may go on with what is under way.
const ENDS_WITHIN: Duration = Duration::from_secs(4);
/// How long there is between two attempts, at first and at last.
const TRY_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// Who worked for so long has got over what went wrong before.
const SETTLED: Duration = Duration::from_secs(120);
/// How often the same trouble is told again.
const TELL_AGAIN: Duration = Duration::from_secs(300);

/// Where settings are read, and what goes before them.
#[derive(Clone, Copy)]
struct Settings<'a> {
    file: Option<&'a Path>,
    listen: Option<SocketAddr>,
}

impl Settings<'_> {
    fn load(self) -> anyhow::Result<Config> {
        let config = config::load(self.file)?;
        Ok(Config { listen: self.listen.unwrap_or(config.listen), ..config })
    }
}

/// Runs the service until it is interrupted, or until a replay has ended.
/// `listen` goes before the page's address of the settings.
pub async fn run(settings: Option<&Path>, role: Role, listen: Option<SocketAddr>) -> anyhow::Result<()> {
    let settings = Settings { file: settings, listen };
    let interrupt = Interrupt::listen();
    let health = Health::default();
    let answering = services::tell(&health, config::metrics_address(settings.file)?).await?;
    let work = async {
        match answering {
            // Nobody could ask what is wrong: whoever started it sees it end.
            None => attempt(settings, role, &health, &interrupt, false).await,
            Some(_) => attempts(settings, role, &health, &interrupt).await,
        }
    };
    tokio::select! {
        outcome = work => outcome,
        // Whatever waits for a Kafka that is away is not waited for.
        () = overdue(&interrupt) => {
            tracing::warn!(service = role.name(), "Ends with work under way; the next start goes on from what was committed.");
            Ok(())
        }
    }
}

/// Well after an interrupt.
async fn overdue(interrupt: &Interrupt) {
    interrupt.asked().await;
    tokio::time::sleep(ENDS_WITHIN * 2 + ENDS_WITHIN / 4).await;
}

/// Tries until the service has ended in order, and stays then: whoever looks after
/// it would start a replay that is over again and again.
async fn attempts(
    settings: Settings<'_>,
    role: Role,
    health: &Health,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let [first, last] = TRY_AGAIN;
    let mut waits = RetryPolicy::new(first, last).at_least(first).waits();
    let mut told: Option<(String, Instant)> = None;
    loop {
        let begun = Instant::now();
        let Err(error) = attempt(settings, role, health, interrupt, told.is_some()).await else {
            stay_until_asked_to_end(role, health, interrupt).await;
            return Ok(());
        };
        let trouble = crate::in_words(&error);
        let known = told.as_ref().is_some_and(|(known, at)| *known == trouble && at.elapsed() < TELL_AGAIN);
        if !known {
            tracing::error!(service = role.name(), "{trouble}. It is tried again.");
            told = Some((trouble.clone(), Instant::now()));
        }
        health.set(role.name(), State::Failed(trouble));
        if begun.elapsed() > SETTLED {
            waits.reset();
        }
        tokio::select! {
            () = tokio::time::sleep(waits.endless()) => {}
            () = interrupt.asked() => return Ok(()),
        }
    }
}

/// Does nothing more, and says so where the end was not asked for.
async fn stay_until_asked_to_end(role: Role, health: &Health, interrupt: &Interrupt) {
    if interrupt.asked().now_or_never().is_none() {
        health.set(role.name(), State::Done);
        tracing::info!(service = role.name(), "The replay is over. There is nothing more to do.");
        interrupt.asked().await;
    }
}

/// Works once, with the settings and secrets as they are now, and goes on with
/// another token of the store, or key of a source, when there is one. Whose trouble has been told of
/// tries again without a word.
async fn attempt(
    settings: Settings<'_>,
    role: Role,
    health: &Health,
    interrupt: &Interrupt,
    quietly: bool,
) -> anyhow::Result<()> {
    loop {
        let config = settings.load()?;
        if config.log != LogKind::Kafka {
            bail!(
                "`tickwire {}` runs one service of several that meet on Kafka: set log = \"kafka\" (TICKWIRE_LOG=kafka) and kafka.bootstrap_servers. With the log in the data folder `tickwire up` runs them all",
                role.name()
            );
        }
        let token = AnotherToken::than(&config, settings.file);
        let bench = Bench::of(config, health.clone())?;
        if !quietly {
            bench.announce(role);
        }
        match bench.work(role, interrupt, &token).await? {
            Left::Ended => return Ok(()),
            Left::Renewed => {
                tracing::info!(service = role.name(), "Goes on with another token or key.");
            }
        }
    }
}
