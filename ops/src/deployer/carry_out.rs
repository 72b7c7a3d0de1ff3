//! Steps, carried out one after the other: pipelines that share a function and
//! start together race for the local copy of its library, so each runs before
//! the next begins.

use std::time::{Duration, Instant};

use crate::deployer::Outcome;
use crate::deployer::arroyo::{Arroyo, ClusterJob, LOOK};
use crate::deployer::desired::{Desired, Function, Pipeline};
use crate::deployer::difference::{Difference, Step};
use crate::deployer::error::DeployError;

/// A checkpoint that takes longer is not waited for: what it would hold is read again.
const LONGEST_STOP: Duration = Duration::from_secs(60);

/// How often a wait says that it goes on.
const PROGRESS: Duration = Duration::from_secs(10);

/// Lets the cluster check every job; all that it has against them is told at once.
pub(crate) async fn check_queries(arroyo: &Arroyo, desired: &Desired) -> Result<(), DeployError> {
    let mut errors = Vec::new();
    for pipeline in &desired.pipelines {
        errors.extend(arroyo.check_query(pipeline, desired).await?);
    }
    if errors.is_empty() { Ok(()) } else { Err(DeployError::Queries(errors)) }
}

/// Carries out every step.
pub(crate) async fn all(
    arroyo: &Arroyo,
    difference: Difference,
    patience: Duration,
) -> Result<Outcome, DeployError> {
    let mut outcome = Outcome::default();
    for step in difference.steps {
        tracing::info!("{step}");
        one(arroyo, &step, patience).await?;
        if let Step::Replace { pipeline, .. } = &step {
            outcome.reread.push(pipeline.job.clone());
        }
        outcome.steps.push(step);
    }
    Ok(outcome)
}

async fn one(arroyo: &Arroyo, step: &Step, patience: Duration) -> Result<(), DeployError> {
    match step {
        Step::Register { function, instead_of } => register(arroyo, function, instead_of.as_deref()).await,
        Step::Remove { name, id } => remove(arroyo, name, id, patience).await,
        Step::Create { pipeline } => create(arroyo, pipeline, patience).await,
        Step::Replace { pipeline, id } => {
            remove(arroyo, &pipeline.job, id, patience).await?;
            create(arroyo, pipeline, patience).await
        }
        Step::Restart { pipeline, id, .. } => {
            arroyo.restart(id).await?;
            until_running(arroyo, pipeline, id, patience).await
        }
        Step::Keep { pipeline, id } => until_running(arroyo, pipeline, id, patience).await,
        Step::Forget { id, .. } => arroyo.forget_function(id).await,
    }
}

/// A function that is there goes only after the compiler took the new one.
async fn register(arroyo: &Arroyo, function: &Function, instead_of: Option<&str>) -> Result<(), DeployError> {
    let compiling = async {
        if let Some(id) = instead_of {
            arroyo.check_function(function).await?;
            arroyo.forget_function(id).await?;
        }
        match arroyo.register(function).await {
            // The refusal does not say what the compiler says.
            Err(refusal @ DeployError::Refused { .. }) => {
                arroyo.check_function(function).await.and(Err(refusal))
            }
            outcome => outcome,
        }
    };
    tokio::pin!(compiling);
    let since = Instant::now();
    loop {
        tokio::select! {
            outcome = &mut compiling => return outcome,
            () = tokio::time::sleep(PROGRESS) => tracing::info!(
                function = function.name,
                seconds = since.elapsed().as_secs(),
                "Still compiling; the first function takes minutes.",
            ),
        }
    }
}

async fn create(arroyo: &Arroyo, pipeline: &Pipeline, patience: Duration) -> Result<(), DeployError> {
    let id = arroyo.create(pipeline).await?;
    until_running(arroyo, pipeline, &id, patience).await
}

async fn until_running(
    arroyo: &Arroyo,
    pipeline: &Pipeline,
    id: &str,
    patience: Duration,
) -> Result<(), DeployError> {
    let job = until(arroyo, (&pipeline.job, id), "Running", patience, |job| {
        job.state == "Running" || job.has_ended()
    })
    .await?;
    match job.state.as_str() {
        "Running" => Ok(()),
        "Failed" => Err(DeployError::Failed { job: pipeline.job.clone(), said: job.said() }),
        _ => Err(DeployError::Failed {
            job: pipeline.job.clone(),
            said: format!("it is {} and should run on", job.state),
        }),
    }
}

async fn remove(arroyo: &Arroyo, job: &str, id: &str, patience: Duration) -> Result<(), DeployError> {
    let ended = |job: &ClusterJob| job.has_ended();
    if arroyo.job(id).await?.is_some_and(|job| !job.has_ended()) {
        arroyo.stop(id, "checkpoint").await?;
        let stopped = until(arroyo, (job, id), "Stopped", LONGEST_STOP.min(patience), ended).await;
        if let Err(DeployError::Overdue { .. }) = stopped {
            tracing::warn!(job, "It does not stop with a checkpoint; stopping it at once.");
            arroyo.stop(id, "immediate").await?;
            until(arroyo, (job, id), "Stopped", patience, ended).await?;
        } else {
            stopped?;
        }
    }
    arroyo.delete(id).await
}

/// Looks at a job until it is in a state that was waited for.
async fn until(
    arroyo: &Arroyo,
    (job, id): (&str, &str),
    wanted: &'static str,
    patience: Duration,
    reached: impl Fn(&ClusterJob) -> bool,
) -> Result<ClusterJob, DeployError> {
    let (since, mut told) = (Instant::now(), Instant::now());
    loop {
        let found = arroyo.job(id).await?;
        if let Some(found) = found.as_ref().filter(|found| reached(found)) {
            return Ok(found.clone());
        }
        let state = found.map_or_else(|| "not there yet".to_owned(), |found| found.state);
        if since.elapsed() >= patience {
            let (job, seconds) = (job.to_owned(), since.elapsed().as_secs());
            return Err(DeployError::Overdue { job, state, wanted, seconds });
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            tracing::info!(job, state, wanted, seconds = since.elapsed().as_secs(), "Waiting.");
        }
        tokio::time::sleep(LOOK).await;
    }
}
