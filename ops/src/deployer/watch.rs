//! Keeps the jobs running: looks at the cluster every few seconds, starts again what
//! has ended, ever more slowly where that does not help, and says how each job fares.

use std::time::{Duration, Instant};

use model::service::{Activity, RunState};
use net::{RetryPolicy, Waits};

use crate::deployer::arroyo::{Arroyo, ClusterJob};
use crate::deployer::desired::Desired;
use crate::deployer::error::DeployError;

/// The cluster's word for a job that runs.
const RUNNING: &str = "Running";
/// The word here for a job whose pipeline is not on the cluster.
const MISSING: &str = "missing";
/// How much of the cluster's own words about a failure is repeated.
const WORDS: usize = 300;

/// How often is looked and what is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks; a job is started again at the earliest one look after it was
    /// seen to have ended, because a deployment stops jobs for a moment.
    pub every: Duration,
    /// Between two looks at the checkpoints, of which there may be many.
    pub checkpoints: Duration,
    /// The first and the longest pause before a job is started once more.
    pub restart: [Duration; 2],
    /// A job that ran for so long has got over what made it fail.
    pub settled: Duration,
    /// A job that is missing for so long is deployed again.
    pub missing: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            every: Duration::from_secs(10),
            checkpoints: Duration::from_secs(60),
            restart: [Duration::from_secs(10), Duration::from_secs(600)],
            settled: Duration::from_secs(600),
            missing: Duration::from_secs(120),
        }
    }
}

/// How one job fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedJob {
    /// Its name, that of its file.
    pub name: String,
    /// The cluster's word for its state, or `missing`.
    pub state: String,
    /// How often it was started again since the watch began.
    pub restarts: u64,
    /// When its last checkpoint was finished, or where it has had none, when it was first
    /// seen running; in milliseconds since the epoch.
    pub last_checkpoint: Option<i64>,
    /// What is wrong with it, and what becomes of that.
    pub trouble: Option<String>,
}

/// What was seen at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Every job.
    pub jobs: Vec<WatchedJob>,
    /// Whether jobs are missing for so long that they are to be deployed again.
    pub deploy: bool,
}

impl Look {
    /// How the engine as a whole fares, as its status says it: `running`, or what is wrong.
    pub fn state(&self) -> Activity {
        let troubles: Vec<_> = self.jobs.iter().filter_map(|job| job.trouble.clone()).collect();
        match troubles.as_slice() {
            [] => RunState::Running.into(),
            troubles => Activity::new(RunState::Failed, format!("failed: {}", troubles.join("; "))),
        }
    }
}

/// The watch over the jobs of one deployment.
pub struct Watcher {
    arroyo: Arroyo,
    pace: Pace,
    jobs: Vec<Job>,
}

/// What is known of a job.
struct Job {
    name: String,
    /// The name of its pipeline.
    pipeline: String,
    restarts: u64,
    waits: Waits,
    /// When it may be started again the next time.
    next_start: Option<Instant>,
    /// Since when it has been seen to have ended, to run, to be missing.
    ended: Option<Instant>,
    running: Option<Instant>,
    missing: Option<Instant>,
    looked_at_checkpoints: Option<Instant>,
    last_checkpoint: Option<i64>,
}

impl Watcher {
    /// A watch over the jobs of `desired`.
    pub fn new(arroyo: Arroyo, desired: &Desired, pace: Pace) -> Watcher {
        let [first, last] = pace.restart;
        let job = |pipeline: &crate::deployer::Pipeline| Job {
            name: pipeline.job.clone(),
            pipeline: pipeline.name.clone(),
            restarts: 0,
            waits: RetryPolicy::new(first, last).at_least(first).waits(),
            next_start: None,
            ended: None,
            running: None,
            missing: None,
            looked_at_checkpoints: None,
            last_checkpoint: None,
        };
        Watcher { arroyo, pace, jobs: desired.pipelines.iter().map(job).collect() }
    }

    /// How long to wait before the next look.
    pub fn every(&self) -> Duration {
        self.pace.every
    }

    /// Looks at every job at `now`, and starts again what has ended; `wall` is the time in
    /// milliseconds since the epoch.
    ///
    /// # Errors
    /// When the cluster does not say which pipelines there are.
    pub async fn look(&mut self, now: Instant, wall: i64) -> Result<Look, DeployError> {
        let listed = self.arroyo.listed().await?;
        let mut look = Look { jobs: Vec::new(), deploy: false };
        for job in &mut self.jobs {
            let found = listed.iter().find(|found| found.name == job.pipeline);
            let (state, trouble) = match found {
                Some(found) => job.tend(&self.arroyo, &self.pace, &found.id, now, wall).await?,
                None => {
                    let since = *job.missing.get_or_insert(now);
                    look.deploy |= now.saturating_duration_since(since) >= self.pace.missing;
                    (MISSING.to_owned(), Some(format!("{} is not on the cluster", job.name)))
                }
            };
            if found.is_some() {
                job.missing = None;
            }
            look.jobs.push(WatchedJob {
                name: job.name.clone(),
                state,
                restarts: job.restarts,
                last_checkpoint: job.last_checkpoint,
                trouble,
            });
        }
        Ok(look)
    }
}

impl Job {
    /// Looks at a job that is on the cluster: its state, and what is wrong with it.
    async fn tend(
        &mut self,
        arroyo: &Arroyo,
        pace: &Pace,
        id: &str,
        now: Instant,
        wall: i64,
    ) -> Result<(String, Option<String>), DeployError> {
        let Some(found) = arroyo.job(id).await? else {
            return Ok((MISSING.to_owned(), Some(format!("{} has no run", self.name))));
        };
        if found.state == RUNNING {
            self.runs(arroyo, pace, id, &found, now, wall).await;
            return Ok((found.state, None));
        }
        self.running = None;
        if !found.has_ended() {
            self.ended = None;
            let trouble = format!("{} is {}", self.name, found.state);
            // A job that was just started again takes its time.
            return Ok((found.state, Some(trouble)));
        }
        let seen_before = self.ended.is_some();
        self.ended.get_or_insert(now);
        let said: String = found.said().chars().take(WORDS).collect();
        let mut trouble = format!("{} is {} ({said})", self.name, found.state);
        if seen_before && self.next_start.is_none_or(|next| now >= next) {
            trouble.push_str(&self.start_again(arroyo, id, now).await);
        } else if let Some(next) = self.next_start {
            let left = next.saturating_duration_since(now).as_secs();
            trouble.push_str(&format!(", and was started again {} times; next in {left} s", self.restarts));
        }
        Ok((found.state, Some(trouble)))
    }

    async fn runs(
        &mut self,
        arroyo: &Arroyo,
        pace: &Pace,
        id: &str,
        found: &ClusterJob,
        now: Instant,
        wall: i64,
    ) {
        self.ended = None;
        let since = *self.running.get_or_insert(now);
        if now.saturating_duration_since(since) >= pace.settled {
            self.waits.reset();
            self.next_start = None;
        }
        let due = |at: Instant| now.saturating_duration_since(at) >= pace.checkpoints;
        if self.looked_at_checkpoints.is_none_or(due) {
            self.looked_at_checkpoints = Some(now);
            match arroyo.last_checkpoint(id, found).await {
                Ok(last) => self.last_checkpoint = last.max(self.last_checkpoint),
                Err(error) => tracing::warn!(job = self.name, "Its checkpoints are not known: {error}"),
            }
        }
        self.last_checkpoint.get_or_insert(wall);
    }

    /// Starts it again from its last checkpoint; says what came of it.
    async fn start_again(&mut self, arroyo: &Arroyo, id: &str, now: Instant) -> String {
        self.next_start = Some(now + self.waits.endless());
        match arroyo.restart(id).await {
            Ok(()) => {
                self.restarts += 1;
                tracing::warn!(
                    job = self.name,
                    restarts = self.restarts,
                    "The job has ended; it is started again."
                );
                ", and is started again".to_owned()
            }
            Err(error) => {
                tracing::error!(job = self.name, "The job has ended and cannot be started again: {error}");
                format!(", and cannot be started again: {error}")
            }
        }
    }
}
