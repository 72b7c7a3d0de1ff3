//! Why the service cannot go on.

use log::LogError;

/// What ends [`crate::run`].
#[derive(Debug, thiserror::Error)]
pub enum AlertsError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}
