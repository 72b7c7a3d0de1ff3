//! What the sink says of itself, about once a second when it has changed.

use std::sync::Arc;
use std::time::Duration;

use log::{LogError, SharedLog};
use model::service::{Activity, RunState, Service};
use model::status::ServiceStatus;
use model::time::{self, Millis};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::progress::Counts;

const EVERY: Duration = Duration::from_secs(1);

/// The event times that the sink has reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    /// The watermark of the raw prices.
    pub(crate) prices: Option<Millis>,
    /// Up to when the rows of every windowed job have come.
    pub(crate) results: Option<Millis>,
    /// The same of the jobs over prices alone.
    pub(crate) price_results: Option<Millis>,
}

/// The status as it was last said, shared by all who say something.
#[derive(Clone)]
pub(crate) struct Status {
    log: SharedLog,
    said: Arc<Mutex<ServiceStatus>>,
    at: Option<Instant>,
}

impl Status {
    pub(crate) fn new(log: SharedLog) -> Status {
        Status { log, said: Arc::default(), at: None }
    }

    /// Whether it is time to look again.
    pub(crate) fn is_due(&self) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= EVERY)
    }

    /// Says it, unless nothing has changed.
    pub(crate) async fn say(
        &mut self,
        state: RunState,
        reached: Reached,
        counts: &Counts,
        pending: u64,
        unread: u64,
    ) -> Result<(), LogError> {
        self.at = Some(Instant::now());
        let counts = [
            ("points", counts.points),
            ("late", counts.late),
            ("late_articles", counts.late_articles),
            ("rejected", counts.rejected),
            ("too_old", counts.too_old),
            ("skipped", counts.skipped),
            ("recomputed", counts.recomputed),
            ("changed", counts.changed),
            ("poorer", counts.poorer),
            ("not_finite", counts.not_finite),
            ("pending", pending),
            ("unread", unread),
        ];
        let mut said = self.said.lock().await;
        let status = ServiceStatus {
            service: Service::Sink.name().into(),
            at: said.at,
            state: state.into(),
            watermark: reached.prices,
            results_until: reached.results,
            price_results_until: reached.price_results,
            counts: counts.map(|(name, count)| (name.to_owned(), count)).into(),
            ..ServiceStatus::default()
        };
        if status != *said {
            *said = ServiceStatus { at: time::now(), ..status };
            self.log.append(vec![said.to_append()]).await?;
        }
        Ok(())
    }

    /// Says that the work does not go on, and why; all else stays as it was said.
    pub(crate) async fn trouble(&self, state: Activity) {
        let mut said = self.said.lock().await;
        if said.state == state {
            return;
        }
        *said =
            ServiceStatus { service: Service::Sink.name().into(), state, at: time::now(), ..said.clone() };
        if let Err(error) = self.log.append(vec![said.to_append()]).await {
            tracing::warn!("The state of the sink could not be told: {error}");
        }
    }
}
