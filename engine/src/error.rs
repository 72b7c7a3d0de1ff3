//! What can go wrong in the engine.

use std::path::PathBuf;

use datafusion::error::DataFusionError;
use log::LogError;

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A folder of jobs, or a file in it, cannot be read.
    #[error("{} cannot be read as jobs: {source}; name a folder such as sql/, with tables.sql in it", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of `sql/` does not parse.
    #[error("sql/{file}.sql does not parse: {reason}")]
    Syntax {
        /// The file's name without its ending.
        file: String,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A file of `sql/` parses, but asks for what is not supported.
    #[error("sql/{file}.sql: {reason}")]
    Unsupported {
        /// The file's name without its ending.
        file: String,
        /// What is not supported, and what is.
        reason: String,
    },
    /// DataFusion refused to plan or run a job.
    #[error("the job `{job}` cannot be planned or run: {source}")]
    Plan {
        /// The job.
        job: String,
        /// DataFusion's words.
        source: Box<DataFusionError>,
    },
    /// There is no such job.
    #[error("there is no job `{asked}`; the jobs are: {known}")]
    UnknownJob {
        /// What was asked for.
        asked: String,
        /// All jobs, with commas.
        known: String,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl EngineError {
    pub(crate) fn unsupported(file: &str, reason: impl Into<String>) -> EngineError {
        EngineError::Unsupported { file: file.to_owned(), reason: reason.into() }
    }

    /// Names the job in DataFusion's errors.
    pub(crate) fn plan(job: &str) -> impl Fn(DataFusionError) -> EngineError + '_ {
        move |source| EngineError::Plan { job: job.to_owned(), source: Box::new(source) }
    }
}
