//! The status of a service on `service-status`: read back, and said about once a second.

use std::time::{Duration, Instant};

use log::{Append, Log, LogError, each_record};
use model::service::Service;
use model::status::ServiceStatus;
use model::{time, topic};

/// What `service` said last, if anything.
///
/// # Errors
/// When the log cannot be read.
pub async fn last(log: &dyn Log, service: Service) -> Result<Option<ServiceStatus>, LogError> {
    let mut last = None;
    each_record(log, &topic::SERVICE_STATUS, |record| {
        if record.key == service.name() {
            last = ServiceStatus::parse(&record.value).ok().or(last.take());
        }
    })
    .await?;
    Ok(last)
}

/// How long a change may wait before it is said.
const SAID_EVERY: Duration = Duration::from_millis(900);

/// A status that its service keeps up to date and says about once a second, when it changed.
#[derive(Debug)]
pub struct Report {
    /// What will be said next.
    pub status: ServiceStatus,
    said: Option<(Instant, ServiceStatus)>,
}

impl Report {
    /// A status of which nothing has been said yet.
    pub fn new(status: ServiceStatus) -> Report {
        Report { status, said: None }
    }

    /// Whether it has changed and the last word is old enough.
    pub fn is_due(&self) -> bool {
        let status = |said: &ServiceStatus| ServiceStatus { at: said.at, ..self.status.clone() };
        self.said.as_ref().is_none_or(|(when, said)| when.elapsed() >= SAID_EVERY && status(said) != *said)
    }

    /// The record that says it now.
    pub fn say(&mut self) -> Append {
        self.status.at = time::now();
        self.said = Some((Instant::now(), self.status.clone()));
        self.status.to_append()
    }
}
