//! `tickwire deploy --watch`: deploys, and then keeps the jobs running: a service like
//! the others, which says as `engine` how the jobs fare.

use std::path::Path;
use std::time::{Duration, Instant};

use log::{KafkaLog, Log, SharedLog};
use model::service::{Activity, RunState, Service};
use model::status::{JobState, ServiceStatus};
use model::time;
use net::{RetryPolicy, Waits};
use ops::deployer::{Look, Pace, Watcher};
use ops::health::{Health, State};

use super::super::interrupt::Interrupt;
use super::super::services;
use crate::cli::DeployArgs;
use crate::config::{self, Config};

/// The name under which one of several works, and that of its state.
const DEPLOYER: &str = "deployer";
/// How long there is between two attempts, at first and at last.
const TRY_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// How long the cluster may take to say how all jobs fare.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// Runs until it is interrupted. What keeps it from working is told, in the log, at
/// `/readyz` and on the status page, and tried again.
pub async fn run(settings: Option<&Path>, args: &DeployArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen();
    let health = Health::default();
    let _answering = services::tell(&health, config::metrics_address(settings)?).await?;
    let [first, last] = TRY_AGAIN;
    let mut waits = RetryPolicy::new(first, last).at_least(first).waits();
    let mut told = String::new();
    loop {
        health.set(DEPLOYER, State::Starting);
        let outcome = tokio::select! {
            outcome = work(settings, args, &health, &mut waits) => outcome,
            () = interrupt.asked() => return Ok(()),
        };
        if let Err(error) = outcome {
            let trouble = crate::in_words(&error);
            if trouble != told {
                tracing::error!(service = DEPLOYER, "{trouble}. It is tried again.");
                told.clone_from(&trouble);
            }
            health.set(DEPLOYER, State::Failed(trouble));
        }
        tokio::select! {
            () = tokio::time::sleep(waits.endless()) => {}
            () = interrupt.asked() => return Ok(()),
        }
    }
}

/// Deploys and watches while it holds the lease; ends where the jobs are to be deployed
/// again, or the lease went to another.
async fn work(
    settings: Option<&Path>,
    args: &DeployArgs,
    health: &Health,
    waits: &mut Waits,
) -> anyhow::Result<()> {
    let config = config::load(settings)?;
    let kafka = config.kafka_log(&config.run_name()?)?;
    health.need_log(kafka.clone());
    health.set(DEPLOYER, State::StandingBy);
    let lease = kafka.lease(DEPLOYER).await?;
    let log = health.watched(DEPLOYER, kafka.clone());
    let outcome = tokio::select! {
        outcome = under_lease(&config, args, &kafka, &log, health, waits) => outcome,
        () = lease.lost() => {
            tracing::warn!(service = DEPLOYER, "Another instance takes over; this one stands by.");
            Ok(())
        }
    };
    // Giving it back waits for a thread.
    let _ = tokio::task::spawn_blocking(move || drop(lease)).await;
    outcome
}

async fn under_lease(
    config: &Config,
    args: &DeployArgs,
    kafka: &KafkaLog,
    log: &SharedLog,
    health: &Health,
    waits: &mut Waits,
) -> anyhow::Result<()> {
    let source = format!("Arroyo at {}", config.arroyo.url.host_str().unwrap_or_default());
    let say = async |state: Activity, jobs: Vec<JobState>| {
        let (service, at, source) = (Service::Engine.into(), time::now(), Some(source.clone()));
        let status = ServiceStatus { service, at, source, state, jobs, ..ServiceStatus::default() };
        log.append(vec![status.to_append()]).await
    };
    let desired = super::desired(config, args)?;
    say(Activity::new(RunState::Waiting, "waiting: the jobs are being deployed"), Vec::new()).await?;
    let outcome = match super::deploy(config, args, &desired, kafka).await {
        Ok(outcome) => outcome,
        Err(error) => {
            say(Activity::new(RunState::Failed, format!("failed: {}", crate::in_words(&error))), Vec::new())
                .await?;
            return Err(error);
        }
    };
    outcome.steps.iter().for_each(|step| tracing::info!("{step}"));
    outcome.reread.iter().for_each(|job| tracing::warn!("{}", super::read_again(job)));
    tracing::info!(jobs = desired.pipelines.len(), "All jobs run, and are watched.");
    health.set(DEPLOYER, State::Working);
    waits.reset();
    let mut watcher = Watcher::new(super::arroyo(config)?, &desired, Pace::default());
    loop {
        let looked = tokio::time::timeout(ANSWERS_WITHIN, watcher.look(Instant::now(), time::now())).await;
        let looked = looked.map_err(|_| {
            format!("{source} does not answer within {} s: is it overloaded?", ANSWERS_WITHIN.as_secs())
        });
        match looked.and_then(|looked| looked.map_err(|error| error.to_string())) {
            Ok(look) => {
                say(look.state(), states(&look)).await?;
                health.set(DEPLOYER, State::Working);
                if look.deploy {
                    tracing::warn!(
                        service = DEPLOYER,
                        "Jobs are missing on the cluster; all are deployed again."
                    );
                    return Ok(());
                }
            }
            Err(trouble) => {
                say(Activity::new(RunState::Failed, format!("failed: {trouble}")), Vec::new()).await?;
                tracing::warn!(service = DEPLOYER, "The jobs cannot be watched: {trouble}");
                health.set(DEPLOYER, State::Failed(trouble));
            }
        }
        tokio::time::sleep(watcher.every()).await;
    }
}

fn states(look: &Look) -> Vec<JobState> {
    let state = |job: &ops::deployer::WatchedJob| JobState {
        name: job.name.clone(),
        state: job.state.clone(),
        restarts: job.restarts,
        last_checkpoint: job.last_checkpoint,
    };
    look.jobs.iter().map(state).collect()
}
