//! What the services say of themselves, gathered from `service-status`.

use std::collections::BTreeMap;

use serde::Serialize;
use wire::log::{Log, LogError};
use wire::status::ServiceStatus;
use wire::time::{self, Millis};
use wire::topic::SERVICE_STATUS;

use crate::rate::{Counted, Rate};
use crate::stalled::{self, PRODUCER, Stalled};

/// Records read at once.
const PAGE: usize = 500;

/// The last word of every service, and how far it has been read.
#[derive(Default)]
pub(crate) struct Board {
    services: BTreeMap<String, ServiceStatus>,
    next: BTreeMap<u32, u64>,
    /// How long the producer was silent before its last word, and before the one before it.
    pauses: [Option<Millis>; 2],
    counted: Counted,
}

impl Board {
    /// Reads what has come since; returns whether anything has.
    pub(crate) async fn refresh(&mut self, log: &dyn Log) -> Result<bool, LogError> {
        let mut changed = false;
        for extent in log.extents(&SERVICE_STATUS).await? {
            let mut next = self.next.get(&extent.partition).copied().unwrap_or(0);
            while next < extent.next {
                let records = log.read(&SERVICE_STATUS, extent.partition, next, PAGE).await?;
                let Some(last) = records.last() else { break };
                next = last.offset + 1;
                self.next.insert(extent.partition, next);
                for record in &records {
                    let Ok(status) = serde_json::from_slice::<ServiceStatus>(&record.value) else { continue };
                    self.take(status);
                    changed = true;
                }
            }
        }
        Ok(changed)
    }

    fn take(&mut self, status: ServiceStatus) {
        let before = self.services.get(&status.service).map(|before| before.at);
        if let (PRODUCER, Some(before)) = (status.service.as_str(), before) {
            self.pauses = [Some(status.at - before), self.pauses[0]];
        }
        self.counted.take(&status);
        self.services.insert(status.service.clone(), status);
    }

    /// The services that stand still now.
    pub(crate) fn stalled(&self) -> Vec<Stalled> {
        let rhythm = self.pauses[0].zip(self.pauses[1]).map(|(last, before)| last.max(before));
        stalled::stalled(&self.services, rhythm, time::now())
    }

    /// The board as the page shows it.
    pub(crate) fn report(&self) -> Report {
        let watermark = |service: &str| self.services.get(service).and_then(|status| status.watermark);
        let prices = watermark("producer");
        let results = watermark("engine").or(watermark("sink")).or(prices);
        // The sink sees each late record once, the engine once a job.
        let late = |service: &str| self.services.get(service)?.counts.get("late").copied();
        Report {
            now: time::now(),
            simulated: self.services.values().any(|status| status.simulated),
            source: self.services.get("producer").and_then(|status| status.source.clone()),
            prices_watermark: prices,
            watermark: results,
            lag: prices.zip(results).map(|(prices, results)| (prices - results).max(0)),
            late: late("sink").or(late("engine")).unwrap_or(0),
            rejected: self.services.values().filter_map(|status| status.counts.get("rejected")).sum(),
            stalled: self.stalled(),
            rates: self.counted.per_minute(time::now()),
            services: self.services.values().cloned().collect(),
        }
    }
}

/// The state of the pipeline; times and the lag in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The wall clock when this was put together.
    pub(crate) now: Millis,
    /// Whether what is shown is no real market.
    pub(crate) simulated: bool,
    /// Where prices come from.
    pub(crate) source: Option<String>,
    /// The event time up to which prices are complete.
    pub(crate) prices_watermark: Option<Millis>,
    /// The event time up to which results are complete.
    pub(crate) watermark: Option<Millis>,
    /// How far results are behind prices.
    pub(crate) lag: Option<Millis>,
    /// Records that came after their windows had closed.
    pub(crate) late: u64,
    /// Events refused because they did not validate.
    pub(crate) rejected: u64,
    /// The services that stand still although there is work.
    pub(crate) stalled: Vec<Stalled>,
    /// What each service does in a minute, by name: bars, articles, rows or points.
    pub(crate) rates: BTreeMap<String, Rate>,
    /// The last word of every service, by name.
    pub(crate) services: Vec<ServiceStatus>,
}
