//! What a cluster holds, and how it behaves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A function that was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udf {
    /// Its id.
    pub id: String,
    /// Its group.
    pub prefix: String,
    /// Its name, read from the definition.
    pub name: String,
    /// Its source.
    pub definition: String,
}

/// A pipeline with its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its SQL.
    pub query: String,
    /// Tasks of every operator.
    pub parallelism: u64,
    /// The state of its run.
    pub state: String,
    /// How it was last asked to stop.
    pub stopped_by: Option<String>,
    /// When its checkpoints were finished, in microseconds; one that is under way is last.
    pub checkpoints: Vec<Option<u64>>,
    /// Looks at it until it leaves the state that it is in.
    pub(super) looks_left: u32,
    pub(super) next: &'static str,
}

/// How the cluster behaves; a test sets it before or between deployments.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// So many requests are answered with 503 before the cluster is up.
    pub starting: u32,
    /// Looks at a run until it is scheduled, and until it is stopped.
    pub slowness: u32,
    /// A pipeline whose name holds this fails instead of running.
    pub fails: Option<String>,
    /// A query that holds this is refused, with the line where it stands.
    pub refuses: Option<String>,
    /// A function of this name does not compile.
    pub does_not_compile: Option<String>,
    /// A stop with a checkpoint never ends.
    pub checkpoints_hang: bool,
    /// Creating pipelines fails with 500 after this many.
    pub creates_at_most: Option<usize>,
    /// A run that has ended is not started again.
    pub refuses_restarts: bool,
    /// Validation gives bare messages, as versions up to 0.15 do.
    pub bare_messages: bool,
}

/// The state behind the API.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) key: Option<String>,
    pub(super) manner: Manner,
    pub(super) udfs: Vec<Udf>,
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) made: usize,
    pub(super) changes: Vec<String>,
    pub(super) together: usize,
}

pub(super) type Shared = Arc<Mutex<Cluster>>;

pub(super) fn lock(cluster: &Shared) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    pub(super) fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}_{}", self.made)
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        query: &str,
        parallelism: u64,
        state: &str,
        looks_left: u32,
    ) -> String {
        let id = self.id("pl");
        let next = if self.manner.fails.as_ref().is_some_and(|fails| name.contains(fails)) {
            "Failed"
        } else {
            "Running"
        };
        self.pipelines.push(Pipeline {
            id: id.clone(),
            name: name.to_owned(),
            query: query.to_owned(),
            parallelism,
            state: state.to_owned(),
            stopped_by: None,
            checkpoints: Vec::new(),
            looks_left,
            next,
        });
        self.count_starting();
        id
    }

    pub(super) fn count_starting(&mut self) {
        let starting = self.pipelines.iter().filter(|pipeline| pipeline.state == "Scheduling").count();
        self.together = self.together.max(starting);
    }
}
