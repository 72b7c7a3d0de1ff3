//! The status of a service on the topic `service-status`: reading the last one, and writing it
//! about once a second.

use std::time::{Duration, Instant};

use log::{Append, Log, LogError, each_record};
use model::service::Service;
use model::status::ServiceStatus;
use model::{time, topic};

/// The last status of `service`, if there is one.
///
/// # Errors
/// If the log cannot be read.
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

/// The shortest time between two records of a changed status.
const WRITE_INTERVAL: Duration = Duration::from_millis(900);

/// The status of a running service, which is written about once a second when it has changed.
#[derive(Debug)]
pub struct Report {
    /// The status to be written next.
    pub status: ServiceStatus,
    written: Option<(Instant, ServiceStatus)>,
}

impl Report {
    /// A status that has not been written yet.
    pub fn new(status: ServiceStatus) -> Report {
        Report { status, written: None }
    }

    /// Whether the status has changed and the last record is old enough.
    pub fn is_due(&self) -> bool {
        let status = |written: &ServiceStatus| ServiceStatus { at: written.at, ..self.status.clone() };
        self.written
            .as_ref()
            .is_none_or(|(when, written)| when.elapsed() >= WRITE_INTERVAL && status(written) != *written)
    }

    /// The record of the status, with the current time.
    pub fn say(&mut self) -> Append {
        self.status.at = time::now();
        self.written = Some((Instant::now(), self.status.clone()));
        self.status.to_append()
    }
}
