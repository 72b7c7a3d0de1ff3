//! The errors of the engine.

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
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file of `sql/` does not parse.
    #[error("sql/{file}.sql does not parse: {reason}")]
    Syntax {
        /// The name of the file without `.sql`.
        file: String,
        /// The syntax error, with line and column.
        reason: String,
    },
    /// A file of `sql/` needs an unsupported feature.
    #[error("sql/{file}.sql: {reason}")]
    Unsupported {
        /// The name of the file without `.sql`.
        file: String,
        /// What is not supported, and what is.
        reason: String,
    },
    /// DataFusion could not plan or run a job.
    #[error("the job `{job}` cannot be planned or run: {source}")]
    Plan {
        /// The name of the job.
        job: String,
        /// The error of DataFusion.
        source: Box<DataFusionError>,
    },
    /// There is no such job.
    #[error("there is no job `{asked}`; the jobs are: {known}")]
    UnknownJob {
        /// The requested name.
        asked: String,
        /// The names of all jobs, separated by commas.
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

    /// Adds the name of the job to errors of DataFusion.
    pub(crate) fn plan(job: &str) -> impl Fn(DataFusionError) -> EngineError + '_ {
        move |source| EngineError::Plan { job: job.to_owned(), source: Box::new(source) }
    }
}
