//! The health and metrics of the services of this process: `/livez`, `/readyz` and `/metrics`.
//!
//! The services do not know about it: each works on a [`Health::watched`] log, which counts its
//! reads and writes. Everything else is determined when an endpoint is requested.

mod instrumented;
mod lag;
mod meters;
mod server;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::SharedLog;
use model::status::ServiceStatus;
use store::SharedStore;

use instrumented::InstrumentedLog;
use lag::Readers;
use meters::{Disk, Meters};
use server::{Needs, Probe, Readiness};

pub use server::Answering;

/// The state of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for a dependency.
    Starting,
    /// It works.
    Working,
    /// Another instance has the lease; this one takes over when that one ends.
    StandingBy,
    /// Its replay has ended and nothing is left to do.
    Done,
    /// It cannot work and will retry; the text says what the operator can do.
    Failed(String),
}

/// The health of a process. Clones share it.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    states: Mutex<BTreeMap<&'static str, State>>,
    /// The last status of each service.
    said: Mutex<BTreeMap<String, ServiceStatus>>,
    needs: Mutex<Needs>,
    probe: Probe,
    /// A path on the file system whose free space is reported.
    disk: Mutex<Option<PathBuf>>,
    readers: Readers,
    meters: Meters,
}

impl Health {
    /// Wraps `log` for one service so that its reads and writes are counted.
    pub fn watched(&self, service: &'static str, log: SharedLog) -> SharedLog {
        self.0.meters.begin(service);
        Arc::new(InstrumentedLog::new(service, log, self.clone()))
    }

    /// Sets the state of a service.
    pub fn set(&self, service: &'static str, state: State) {
        if matches!(state, State::Failed(_)) {
            self.0.meters.failed(service);
        }
        locked(&self.0.states).insert(service, state);
    }

    /// The last status of a service of this process.
    pub fn said(&self, service: &str) -> Option<ServiceStatus> {
        locked(&self.0.said).get(service).cloned()
    }

    /// Makes readiness depend on the log.
    pub fn need_log(&self, log: SharedLog) {
        locked(&self.0.needs).log = Some(log);
    }

    /// Makes readiness depend on the store.
    pub fn need_store(&self, store: SharedStore) {
        locked(&self.0.needs).store = Some(store);
    }

    /// Reports the free space of the file system that contains `path`.
    pub fn watch_disk(&self, path: PathBuf) {
        *locked(&self.0.disk) = Some(path);
    }

    /// Counts a response of the web app: `route` is the pattern that matched the request, so
    /// that clients cannot create labels, and `took` is the time until the response began.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.0.meters.answered(method, route, status, took);
    }

    fn disk(&self) -> Option<Disk> {
        Disk::of(locked(&self.0.disk).as_deref()?)
    }

    /// The current state of the dependencies and the log, at most a few seconds old.
    async fn readiness(&self) -> Readiness {
        let needs = locked(&self.0.needs).clone();
        self.0.probe.check(needs, self.0.readers.topics(), &self.0.readers.next_offsets()).await
    }
}

fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
