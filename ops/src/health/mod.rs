//! Whether the services of this process are well, and how they fare: `/livez`,
//! `/readyz` and `/metrics`.
//!
//! A service knows nothing of it. It works on a [`Health::watched`] log, and what
//! goes through that log is counted; the rest is asked when somebody looks.

mod instrumented;
mod lag;
mod meters;
mod server;
#[cfg(test)]
mod tests;
mod told;

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
use server::{Found, Needs, Probe};

pub use server::Answering;

/// What a service is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for what it needs.
    Starting,
    /// It works.
    Working,
    /// Another instance works; this one takes over when that one ends.
    StandingBy,
    /// Its replay is over: there is nothing left to do.
    Done,
    /// It cannot work, and will try again; in words that say what to do.
    Failed(String),
}

/// The vital signs of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health(Arc<Signs>);

#[derive(Default)]
struct Signs {
    states: Mutex<BTreeMap<&'static str, State>>,
    /// What each service said of itself last.
    said: Mutex<BTreeMap<String, ServiceStatus>>,
    needs: Mutex<Needs>,
    probe: Probe,
    /// Where the data is, or what shares its disk.
    disk: Mutex<Option<PathBuf>>,
    readers: Readers,
    meters: Meters,
}

impl Health {
    /// `log` for one service, with everything counted that it does there.
    pub fn watched(&self, service: &'static str, log: SharedLog) -> SharedLog {
        self.0.meters.begin(service);
        Arc::new(InstrumentedLog::new(service, log, self.clone()))
    }

    /// Notes what a service is doing.
    pub fn set(&self, service: &'static str, state: State) {
        if matches!(state, State::Failed(_)) {
            self.0.meters.failed(service);
        }
        locked(&self.0.states).insert(service, state);
    }

    /// What a service of this process said of itself last.
    pub fn said(&self, service: &str) -> Option<ServiceStatus> {
        locked(&self.0.said).get(service).cloned()
    }

    /// From now on the log must answer for the process to be ready.
    pub fn need_log(&self, log: SharedLog) {
        locked(&self.0.needs).log = Some(log);
    }

    /// From now on the store must answer for the process to be ready.
    pub fn need_store(&self, store: SharedStore) {
        locked(&self.0.needs).store = Some(store);
    }

    /// From now on it is told how much room there is on the disk that holds `path`.
    pub fn watch_disk(&self, path: PathBuf) {
        *locked(&self.0.disk) = Some(path);
    }

    /// Notes a request that was answered: `route` is the pattern that it matched, so
    /// that nobody outside makes names, and `took` the time until the answer began.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.0.meters.answered(method, route, status, took);
    }

    fn disk(&self) -> Option<Disk> {
        Disk::of(locked(&self.0.disk).as_deref()?)
    }

    /// Whether what is needed answers, and what the log holds: seconds old at most.
    async fn found(&self) -> Found {
        let needs = locked(&self.0.needs).clone();
        self.0.probe.look(needs, self.0.readers.topics(), &self.0.readers.places()).await
    }
}

fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
