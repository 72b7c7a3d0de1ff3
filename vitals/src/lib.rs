//! Whether the services of this process are well, and how they fare: `/healthz`,
//! `/readyz` and `/metrics`.
//!
//! A service knows nothing of it. It works on a [`Vitals::watched`] log, and what
//! goes through that log is counted; the rest is asked when somebody looks.

mod lag;
mod meters;
mod ready;
mod server;
#[cfg(test)]
mod tests;
mod watched;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::SharedStore;
use wire::log::SharedLog;
use wire::status::ServiceStatus;

pub use server::Answering;

use lag::Readers;
use meters::Meters;
use watched::WatchedLog;

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
pub struct Vitals(Arc<Signs>);

#[derive(Default)]
struct Signs {
    states: Mutex<BTreeMap<&'static str, State>>,
    /// What each service said of itself last.
    said: Mutex<BTreeMap<String, ServiceStatus>>,
    needs: Mutex<Needs>,
    readers: Readers,
    meters: Meters,
}

/// What must answer for the process to be ready.
#[derive(Clone, Default)]
struct Needs {
    log: Option<SharedLog>,
    store: Option<SharedStore>,
}

impl Vitals {
    /// `log` for one service, with everything counted that it does there.
    pub fn watched(&self, service: &'static str, log: SharedLog) -> SharedLog {
        Arc::new(WatchedLog::new(service, log, self.clone()))
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

    fn needs(&self) -> Needs {
        locked(&self.0.needs).clone()
    }
}

fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
