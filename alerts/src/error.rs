//! The error that ends the service.

use log::LogError;

/// Why [`crate::run`] failed.
#[derive(Debug, thiserror::Error)]
pub enum AlertsError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}
