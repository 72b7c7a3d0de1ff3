//! Why a deployment ended early, in words that say what to do.

use std::path::PathBuf;

use net::HttpFailure;

/// Why a deployment ended early.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A file or folder cannot be read.
    #[error("{path} cannot be read ({source}): name the folders with --sql and --udfs")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file of `sql/` cannot be prepared for the cluster.
    #[error("{file}:{line}: {reason}")]
    Sql {
        /// The file.
        file: String,
        /// Its line, from 1.
        line: u64,
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// Rows would be lost: several partitions would share a source task and its watermark.
    #[error(
        "parallelism {parallelism} is less than the {partitions} partitions of the source topics, and a task that reads several of them loses rows while it catches up: set arroyo.parallelism to {partitions} or more"
    )]
    Parallelism {
        /// What was asked for.
        parallelism: u32,
        /// What the topics have.
        partitions: u32,
    },
    /// The cluster cannot be reached.
    #[error(
        "{url} does not answer ({source}): is Arroyo running, and is this its address? Set arroyo.url (TICKWIRE_ARROYO__URL)"
    )]
    Unreachable {
        /// Its address, which holds no key.
        url: String,
        /// What the connection said.
        source: HttpFailure,
    },
    /// The cluster wants another key.
    #[error("{url} refuses the key (status {status}): set arroyo.api_key to that of the cluster")]
    Key {
        /// Its address.
        url: String,
        /// Its answer.
        status: u16,
    },
    /// The cluster answers with an error.
    #[error("Arroyo could not {what} (status {status}): {said}")]
    Refused {
        /// What was asked of it.
        what: String,
        /// Its answer.
        status: u16,
        /// Its own words.
        said: String,
    },
    /// The cluster's answer is of another form.
    #[error(
        "Arroyo's answer when asked to {what} was not understood ({source}): its version may be one that this program does not know"
    )]
    Answer {
        /// What was asked of it.
        what: String,
        /// What does not fit.
        source: HttpFailure,
    },
    /// A function does not compile.
    #[error("udfs/{function}.rs does not compile on the cluster:\n{said}")]
    Function {
        /// The function.
        function: String,
        /// The compiler's words.
        said: String,
    },
    /// The cluster refuses queries.
    #[error("Arroyo refuses the SQL; nothing was changed\n{}", joined(.0))]
    Queries(Vec<QueryError>),
    /// A job failed.
    #[error("the job {job} failed on the cluster: {said}")]
    Failed {
        /// The job.
        job: String,
        /// Arroyo's own words.
        said: String,
    },
    /// A job did not reach the state that was waited for.
    #[error(
        "the job {job} is {state} after {seconds} s and was to be {wanted}: look into Arroyo's log, and run this again (it goes on from here; --patience waits longer)"
    )]
    Overdue {
        /// The job.
        job: String,
        /// Its state.
        state: String,
        /// The state that was waited for.
        wanted: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
}

/// What the cluster says against a query, beside the line that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The file of `sql/`, or the job where the place is not known.
    pub file: String,
    /// The line in the file, from 1, and its text.
    pub line: Option<(u64, String)>,
    /// Arroyo's own words.
    pub said: String,
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.line {
            Some((line, text)) => write!(f, "{}:{line}: {}\n  {line} | {text}", self.file, self.said),
            None => write!(f, "{}: {}", self.file, self.said),
        }
    }
}

fn joined(errors: &[QueryError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
