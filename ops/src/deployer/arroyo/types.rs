//! The parts of Arroyo's messages that matter here; unknown fields are ignored.

use serde::{Deserialize, Serialize};

/// A function on the cluster.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ClusterFunction {
    pub(crate) id: String,
    pub(crate) prefix: String,
    pub(crate) name: String,
    pub(crate) definition: String,
    pub(crate) dylib_url: Option<String>,
}

/// A function to be compiled and kept.
#[derive(Debug, Serialize)]
pub(crate) struct NewFunction<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) language: &'a str,
    pub(crate) definition: &'a str,
    pub(crate) description: &'a str,
}

/// A function beside a query that is only checked.
#[derive(Debug, Serialize)]
pub(crate) struct LocalFunction<'a> {
    pub(crate) definition: &'a str,
    pub(crate) language: &'a str,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FunctionVerdict {
    pub(crate) errors: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Query<'a> {
    pub(crate) query: &'a str,
    pub(crate) udfs: Vec<LocalFunction<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueryVerdict {
    pub(crate) errors: Vec<Diagnostic>,
}

/// What is wrong with a query. Older versions send the message alone.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Diagnostic {
    Placed { message: String, span: Option<Span> },
    Message(String),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Location,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Location {
    pub(crate) line: u64,
}

/// A pipeline on the cluster, as the list has it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ListedPipeline {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) preview: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct NewPipeline<'a> {
    pub(crate) name: &'a str,
    pub(crate) query: &'a str,
    pub(crate) parallelism: u32,
    pub(crate) checkpoint_interval_micros: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Created {
    pub(crate) id: String,
}

/// A pipeline's run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ClusterJob {
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) failure_reason: Option<FailureReason>,
    #[serde(default)]
    pub(crate) failure_message: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FailureReason {
    pub(crate) error: String,
}

impl ClusterJob {
    /// Arroyo's own words about a failure.
    pub(crate) fn said(&self) -> String {
        let reason = self.failure_reason.as_ref().map(|reason| reason.error.clone());
        reason.or_else(|| self.failure_message.clone()).unwrap_or_else(|| "it gives no reason".to_owned())
    }

    /// Whether it has ended, so that its pipeline may be deleted.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "Stopped" | "Finished" | "Failed")
    }
}

/// A checkpoint of a job; times in microseconds of the cluster's clock.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Checkpoint {
    #[serde(default)]
    pub(crate) finish_time: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    #[serde(default, alias = "hasMore")]
    pub(crate) has_more: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: String,
}
