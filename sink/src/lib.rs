//! The sink: writes the raw topics and the results of all jobs from the log to the store as
//! points, and recomputes the windows of late or corrected bars.
//!
//! Each batch of points is written with notes that say up to which offsets the log has been
//! read. The offsets of the reader are committed only after that, so that every record counts
//! exactly once, whatever fails in between.

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

/// The default interval between two recomputations of the windows of late records (wall clock).
pub const RECOMPUTE_EVERY: Duration = Duration::from_secs(15 * 60);

/// Writes the raw topics and the result topics of `jobs` to the store, until `stop` requests an
/// end. With [`control::shutdown::Shutdown::Drain`] it ends when everything in the log is
/// stored and every closed window of late records has been recomputed.
///
/// # Errors
/// If the log, the store or a recomputation fails. What was stored before stays consistent.
pub async fn run(
    log: SharedLog,
    store: SharedStore,
    jobs: Vec<Job>,
    stop: ShutdownToken,
) -> Result<(), SinkError> {
    work(log, store, jobs, RECOMPUTE_EVERY, control::recompute::channel().1, stop).await
}

/// As [`run`], with the interval `every` between recomputations, and with the recomputations
/// requested through `asked`.
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

/// The shapes of all measurements that the sink writes for `jobs`.
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
        let delivery = Arc::new(delivery.under_lease(log.fence()).await?);
        sink::Sink::open(log, delivery, tables, compute).await?.run(every, asked, &stop).await
    };
    match worked.await {
        Err(SinkError::Store(error)) if stop.stopped() && error.patience() != Patience::None => {
            tracing::warn!(
                "Stopped while the store was unreachable; what was not written is read again at the next start: {error}"
            );
            Ok(())
        }
        outcome => outcome,
    }
}
