//! Turns signals into alerts: the rules are applied to every window of every symbol in order of
//! event time, and an episode yields one alert when it opens and one when it closes.
//!
//! The result is a function of the log alone. A version of the rules applies to windows that
//! were appended after it; a window that is not later than the last one of its symbol is
//! ignored. State and offset are stored together in the log, so a service that restarts after a
//! crash repeats the same alerts, and their identities (rule, symbol, opening) make them
//! duplicates.

mod error;
mod explain;
mod partition;
mod service;
#[cfg(test)]
mod tests;
pub mod webhook;

use model::Topic;

pub use error::AlertsError;
pub use service::run;

/// The topic that is read: the result topic of the job `signals`.
pub fn signals() -> Topic {
    Topic::new("signals")
}
