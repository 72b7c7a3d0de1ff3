//! What the sink says of itself, about once a second when it has changed.

use std::time::Duration;

use tokio::time::Instant;
use wire::log::{LogError, SharedLog};
use wire::status::ServiceStatus;
use wire::time::{self, Millis};

use crate::progress::Counts;

const EVERY: Duration = Duration::from_secs(1);

/// The status as it was last said.
pub(crate) struct Status {
    said: ServiceStatus,
    at: Option<Instant>,
}

impl Status {
    pub(crate) fn new() -> Status {
        Status { said: ServiceStatus::default(), at: None }
    }

    /// Whether it is time to look again.
    pub(crate) fn is_due(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Says it, unless nothing has changed.
    pub(crate) async fn say(
        &mut self,
        log: &SharedLog,
        state: &str,
        watermark: Option<Millis>,
        counts: &Counts,
        pending: u64,
    ) -> Result<(), LogError> {
        self.at = Some(Instant::now());
        let counts = [
            ("points", counts.points),
            ("late", counts.late),
            ("late_articles", counts.late_articles),
            ("rejected", counts.rejected),
            ("recomputed", counts.recomputed),
            ("pending", pending),
        ];
        let status = ServiceStatus {
            service: "sink".into(),
            at: self.said.at,
            state: state.into(),
            watermark,
            counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
            ..ServiceStatus::default()
        };
        if status != self.said {
            self.said = ServiceStatus { at: time::now(), ..status };
            log.append(vec![self.said.to_append()]).await?;
        }
        Ok(())
    }
}
