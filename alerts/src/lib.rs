//! From signals to alerts: rules, which are data, are applied to every window
//! of every symbol in order, and each episode is told when it opens and when
//! it closes, once a rule and symbol, not once a minute.
//!
//! What comes out follows from the log alone. A rule applies to the windows
//! that entered the log after it; a window that comes again, or after a later
//! one of its symbol, is passed over. State and position are kept together in
//! the log, so a service that was killed says what it would have said.

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

/// The topic that is read: that of the job `signals`.
pub fn signals() -> Topic {
    Topic::new("signals")
}
