//! Read-only SQL over the stored measurements, planned and run by DataFusion
//! within limits of time, rows and memory.

mod answer;
mod arrays;
mod bounds;
mod error;
mod read_only;
mod run;
mod table;

use std::sync::Arc;
use std::time::Duration;

use store::SharedStore;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub use answer::Answer;
pub use error::{ExploreError, Place};

/// What a query may take before it is ended.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may work; the time that its reader takes does not count.
    pub time: Duration,
    /// The most rows that it gives, further ones are cut off; `None` is all.
    pub rows: Option<usize>,
    /// The most bytes that its sorts, joins and groups may hold.
    pub memory: usize,
    /// So many queries at once; a further one is refused.
    pub at_once: usize,
}

/// Runs queries over a store.
#[derive(Clone)]
pub struct Explorer {
    store: SharedStore,
    limits: Limits,
    free: Arc<Semaphore>,
}

impl Explorer {
    /// An explorer of `store`; all its clones share the limit of queries at once.
    pub fn new(store: SharedStore, limits: Limits) -> Explorer {
        Explorer { store, limits, free: Arc::new(Semaphore::new(limits.at_once)) }
    }

    /// Plans and starts one statement: a query, EXPLAIN, SHOW or DESCRIBE. Every
    /// measurement is a table under its name. The answer ends where it is dropped.
    ///
    /// # Errors
    /// When the statement is none of these or does not plan, when a limit is
    /// reached or the store cannot be read.
    pub async fn query(&self, sql: &str) -> Result<Answer, ExploreError> {
        let place = Arc::clone(&self.free).try_acquire_owned();
        let place = place.map_err(|_| ExploreError::Busy { at_once: self.limits.at_once })?;
        read_only::check_length(sql)?;
        let measurements = self.store.measurements().await?;
        let asked = run::Asked {
            sql: sql.to_owned(),
            measurements,
            store: Arc::clone(&self.store),
            reading: Handle::current(),
            limits: self.limits,
        };
        Answer::begin(run::start(asked, place)?, self.limits).await
    }
}
