//! Read-only SQL over the stored measurements, planned and run by DataFusion
//! within limits of time, rows and memory.

mod answer;
mod apart;
mod arrays;
mod bounds;
mod checked;
mod child;
mod error;
mod functions;
mod read_only;
mod run;
mod table;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::SharedStore;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub use answer::Answer;
pub use apart::Apart;
pub use child::Asked;
pub use error::{ExploreError, Place};

/// What a query may take before it is ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// How long it may work; the time that its reader takes does not count.
    pub time: Duration,
    /// The most rows that it gives, further ones are cut off; `None` is all.
    pub rows: Option<usize>,
    /// The most bytes that its rows have together, further rows are cut off; `None` is all.
    pub bytes: Option<usize>,
    /// The most bytes that it may hold. Its sorts, joins and groups are counted and
    /// stop at three quarters of it, with an error that says so; a process of its own
    /// is ended where everything together reaches it.
    pub memory: usize,
    /// So many queries at once; a further one is refused.
    pub at_once: usize,
}

/// Runs queries over a store.
#[derive(Clone)]
pub struct Explorer {
    way: Way,
    limits: Limits,
    free: Arc<Semaphore>,
}

/// Where queries are answered.
#[derive(Clone)]
enum Way {
    /// By a thread of this process, whose memory they can take.
    Here(SharedStore),
    /// By a process each.
    Apart(Arc<Apart>),
}

impl Explorer {
    /// An explorer of `store` in this process: for a process that does nothing else.
    /// All its clones share the limit of queries at once.
    pub fn new(store: SharedStore, limits: Limits) -> Explorer {
        Explorer::with(Way::Here(store), limits)
    }

    /// An explorer that answers each query in a process of its own.
    pub fn apart(apart: Apart, limits: Limits) -> Explorer {
        Explorer::with(Way::Apart(Arc::new(apart)), limits)
    }

    fn with(way: Way, limits: Limits) -> Explorer {
        Explorer { way, limits, free: Arc::new(Semaphore::new(limits.at_once)) }
    }

    /// Plans and starts one statement: a query, EXPLAIN, SHOW or DESCRIBE. Every
    /// measurement is a table under its name. The answer ends where it is dropped.
    ///
    /// # Errors
    /// When the statement is none of these or does not plan, when a limit is
    /// reached or the store cannot be read.
    pub async fn query(&self, sql: &str) -> Result<Answer, ExploreError> {
        self.ask(sql, self.limits).await
    }

    /// The first rows of [`Explorer::query`]: at most so many, of at most so many bytes.
    ///
    /// # Errors
    /// As for [`Explorer::query`].
    pub async fn first(&self, sql: &str, rows: usize, bytes: usize) -> Result<Answer, ExploreError> {
        let (rows, bytes) = (
            self.limits.rows.map_or(rows, |limit| limit.min(rows)),
            self.limits.bytes.map_or(bytes, |limit| limit.min(bytes)),
        );
        self.ask(sql, Limits { rows: Some(rows), bytes: Some(bytes), ..self.limits }).await
    }

    async fn ask(&self, sql: &str, limits: Limits) -> Result<Answer, ExploreError> {
        let place = Arc::clone(&self.free).try_acquire_owned();
        let place = place.map_err(|_| ExploreError::Busy { at_once: self.limits.at_once })?;
        read_only::check_length(sql)?;
        let store = match &self.way {
            Way::Apart(apart) => {
                let (parts, process) = apart::start(apart, sql, limits, place)?;
                return Answer::begin(parts, Some(process), limits).await;
            }
            Way::Here(store) => store,
        };
        let measurements = store.measurements().await;
        let measurements = measurements.map_err(|error| ExploreError::of_store(&error, limits.memory))?;
        let asked = run::Asked {
            sql: sql.to_owned(),
            measurements,
            store: Arc::clone(store),
            reading: Handle::current(),
            limits,
        };
        Answer::begin(run::start(asked, place)?, None, limits).await
    }
}
