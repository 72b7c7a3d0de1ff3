//! What each service says of itself, on `service-status`.

mod figures;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::append::Append;
use crate::service::{Activity, Service};
use crate::time::{self, Millis};
use crate::topic;

/// The last word of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The name of the service: one of [`Service`], or one that another version has.
    pub service: String,
    /// When it was said, by the wall clock.
    pub at: Millis,
    /// What it is working from, in words a person reads: `simulation (seed 1)`, `replay of bars.csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it does, in JSON as `state` (for people) and `run_state`.
    #[serde(flatten)]
    pub state: Activity,
    /// The event time that it has reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Millis>,
    /// Counts since the data folder began, by name: `bars`, `late`, `rejected`, `rows` …
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Whether what it works from is simulated and no real market.
    #[serde(default)]
    pub simulated: bool,
    /// Of a source whose event time follows the wall clock: how far behind it event
    /// time is while all is well, in milliseconds. Absent where event time is that
    /// of a simulation or a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_lag: Option<Millis>,
    /// Of the sink, the time up to which the rows of every windowed job have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_until: Option<Millis>,
    /// Of the sink, the same of the jobs over prices alone, which do not wait for news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_results_until: Option<Millis>,
    /// Of the engine, how its jobs run, where they run on a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobState>,
    /// Of a live source, how each entry of the watchlist fares, in the list's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryState>,
    /// Of a source whose calls are counted, how many are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaState>,
    /// The version of Tickwire that it is of; whoever puts it on the log need not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How a live source fares with one entry of the watchlist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntryState {
    /// The entry's symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The entry's search term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_term: Option<String>,
    /// The sections that are searched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<String>,
    /// For people, in a word or a sentence: `answered`, `not asked yet`, `failing: …`.
    pub state: String,
    /// Whether it brings nothing: its search fails, or the feed does not confirm it.
    #[serde(default)]
    pub failing: bool,
    /// Since when it is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
    /// When it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_asked: Option<Millis>,
    /// When it will be asked next, unless it is failing for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_asked: Option<Millis>,
    /// Everything before this time has been asked for and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Millis>,
    /// When the last bar or article of this entry came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_data: Option<Millis>,
}

/// How a job runs on a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// The job's name, as that of its file in `sql/`.
    pub name: String,
    /// The cluster's word for its state, or `missing`.
    pub state: String,
    /// How often it was started again since the watch began.
    #[serde(default)]
    pub restarts: u64,
    /// When its last checkpoint was finished, by the cluster's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checkpoint: Option<Millis>,
}

/// The state of a job that runs.
pub const JOB_RUNNING: &str = "Running";

/// The calls that a key allows, and what has been used of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QuotaState {
    /// Calls allowed a day.
    pub per_day: u64,
    /// Calls made since midnight UTC.
    pub used_today: u64,
    /// Calls that may be made at once without endangering the day's; a share of a call counts.
    pub at_hand: f64,
    /// When this was counted.
    pub at: Millis,
}

impl ServiceStatus {
    /// Whether it is of that service.
    pub fn is_of(&self, service: Service) -> bool {
        self.service == service.name()
    }

    /// The record that carries it to the log.
    pub fn to_append(&self) -> Append {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        Append::json(topic::SERVICE_STATUS, &self.service, &ServiceStatus { version, ..self.clone() })
    }

    /// The status in the JSON text of a record.
    ///
    /// # Errors
    /// When it holds none, or times that are none.
    pub fn parse(json: &[u8]) -> Result<ServiceStatus, String> {
        let status: ServiceStatus =
            serde_json::from_slice(json).map_err(|error| format!("not a status: {error}"))?;
        let times = [Some(status.at), status.watermark].into_iter().flatten();
        match times.into_iter().find(|at| !(time::EARLIEST..=time::LATEST_STATED).contains(at)) {
            Some(at) => Err(format!("not a status: {at} is no time in epoch milliseconds")),
            None => Ok(status),
        }
    }
}
