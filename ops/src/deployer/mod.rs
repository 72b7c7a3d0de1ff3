//! Brings an Arroyo cluster to what the folders `sql/` and `udfs/` say, through
//! its REST API: what is there is compared with what should be, and only the
//! difference is carried out, one pipeline at a time. Then, where that is wanted, the
//! jobs are watched, and started again when they fail.

mod arroyo;
mod carry_out;
mod desired;
mod difference;
mod error;
mod render;
mod sources;
mod watch;

use std::time::Duration;

pub use arroyo::Arroyo;
pub use desired::{Desired, Function, Pipeline};
pub use difference::{Difference, Step};
pub use error::{DeployError, QueryError};
pub use render::{KafkaLogin, Rendered, Settings};
pub use sources::Sources;
pub use watch::{Look, Pace, WatchedJob, Watcher};

/// What a deployment did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The steps that were carried out, in order.
    pub steps: Vec<Step>,
    /// Jobs that read their topics from the earliest record again. Of what lies
    /// before that record, points are still those of the SQL before.
    pub reread: Vec<String>,
}

/// What separates the cluster from `desired`; nothing is changed. Every job's
/// SQL is checked by the cluster on the way.
///
/// # Errors
/// When the cluster does not answer within `patience`, or refuses a job.
pub async fn difference(
    arroyo: &Arroyo,
    desired: &Desired,
    patience: Duration,
) -> Result<Difference, DeployError> {
    arroyo.wait_for_health(patience).await?;
    carry_out::check_queries(arroyo, desired).await?;
    Ok(Difference::between(&arroyo.functions().await?, &arroyo.pipelines().await?, desired))
}

/// Makes the cluster run `desired`, and returns once every job is running.
///
/// Running it again after an error, or after a kill at any moment, goes on from
/// what the cluster then is.
///
/// # Errors
/// When the cluster does not answer, refuses a function or a job, or a job does
/// not reach its state within `patience`; what was done before stays.
pub async fn deploy(arroyo: &Arroyo, desired: &Desired, patience: Duration) -> Result<Outcome, DeployError> {
    let difference = difference(arroyo, desired, patience).await?;
    carry_out::all(arroyo, difference, patience).await
}
