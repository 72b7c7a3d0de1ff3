//! From the log to the store: the raw topics and every job's results become
//! points, and windows that late or corrected bars touch are computed again.
//!
//! Each batch of points is written together with notes of what has been read;
//! only then are the reader's positions committed. So whatever happens in
//! between, every record counts once.

mod aggregates;
mod decode;
mod delivery;
mod error;
mod gaps;
mod gathered;
mod pipeline;
mod progress;
mod recompute;
mod row;
mod sink;
mod table;
#[cfg(test)]
mod tests;
mod versions;
mod work;

use std::sync::Arc;
use std::time::Duration;

use control::recompute::Ask;
use control::shutdown::ShutdownToken;
use engine::Job;
use log::SharedLog;
use store::{Measurement, Patience, SharedStore};
use tokio::sync::mpsc;

pub use aggregates::aggregate;
pub use delivery::take_over;
pub use error::SinkError;
pub use recompute::recompute;

/// How often touched windows are computed again when nobody says otherwise, by the wall clock.
pub const RECOMPUTE_EVERY: Duration = Duration::from_secs(15 * 60);

/// Writes what stands on the raw topics and on the result topics of `jobs` to
/// the store, until `stop` asks for an end; when asked to drain, once everything
/// that the log holds is stored and every closed window that late records touch
/// has been computed again.
///
/// # Errors
/// When the log, the store or the recomputation of a window fails; what was
/// stored until then is in order.
pub async fn run(
    log: SharedLog,
    store: SharedStore,
    jobs: Vec<Job>,
    stop: ShutdownToken,
) -> Result<(), SinkError> {
    work(log, store, jobs, RECOMPUTE_EVERY, control::recompute::channel().1, stop).await
}

/// [`run`], computing touched windows again every `every`, and in between what is
/// `asked` for.
///
/// # Errors
/// As [`run`].
pub async fn run_answering(
    every: Duration,
    asked: mpsc::Receiver<Ask>,
    log: SharedLog,
    store: SharedStore,
    jobs: Vec<Job>,
    stop: ShutdownToken,
) -> Result<(), SinkError> {
    work(log, store, jobs, every, asked, stop).await
}

/// The shapes of all measurements that the sink writes, for the results of `jobs`.
pub fn measurements(jobs: &[Job]) -> Vec<Measurement> {
    let shapes = sink::measurements(&tables(jobs));
    shapes.iter().chain(aggregates::measurements()).map(|shape| shape.as_ref().clone()).collect()
}

fn tables(jobs: &[Job]) -> Vec<table::Table> {
    jobs.iter().map(table::Table::of).chain([gaps::table(), decode::table()]).collect()
}

async fn work(
    log: SharedLog,
    store: SharedStore,
    jobs: Vec<Job>,
    every: Duration,
    asked: mpsc::Receiver<Ask>,
    stop: ShutdownToken,
) -> Result<(), SinkError> {
    let tables = tables(&jobs);
    let compute = Box::new(recompute::Engine::new(jobs));
    let status = pipeline::Status::new(log.clone());
    let delivery = delivery::Delivery::new(store, status, delivery::Waits::USUAL, stop.clone());
    let worked = async {
        let delivery = Arc::new(delivery.held_by(log.fence()).await?);
        sink::Sink::open(log, delivery, tables, compute).await?.run(every, asked, &stop).await
    };
    match worked.await {
        Err(SinkError::Store(error)) if stop.stopped() && error.patience() != Patience::None => {
            tracing::warn!(
                "Stopped while the store was away; what it has not taken is read again at the next start: {error}"
            );
            Ok(())
        }
        outcome => outcome,
    }
}
