//! What the log tells of the bars that it has, and of those that are missing.

use std::collections::{BTreeMap, HashSet};

use log::{SharedLog, each_record};
use model::time::{DAY, Millis};
use model::time::{EARLIEST, LATEST_STATED};
use model::topic::{GAPS, STOCK_PRICES};
use model::{Bar, Gap};

use crate::ProducerError;

use super::known::Known;

/// Records read at once, and at most.
const AT_ONCE: u64 = 5_000;
const MOST: u64 = 300_000;

/// Reads the tail of the log back to bars that start at `since`, and further
/// until the last bar of every listed symbol has been found, as far as there is one.
pub(super) async fn bars(
    log: &SharedLog,
    since: Option<Millis>,
    listed: &[String],
) -> Result<Known, ProducerError> {
    let mut known = Known::default();
    let wanted: HashSet<&str> = listed.iter().map(String::as_str).collect();
    let Some(since) = since else { return Ok(known) };
    for extent in log.extents(&STOCK_PRICES).await? {
        let (mut to, mut left) = (extent.next, MOST);
        while to > extent.first && left > 0 {
            let from = extent.first.max(to.saturating_sub(AT_ONCE));
            let records = log.read(&STOCK_PRICES, extent.partition, from, (to - from) as usize).await?;
            // Not every offset holds a record: what lies behind `to` was read before.
            let records = records.iter().take_while(|record| record.offset < to);
            let bars: Vec<Bar> =
                records.filter_map(|record| serde_json::from_slice(&record.value).ok()).collect();
            // The latest version of a bar is the last one.
            for bar in bars.iter().rev().filter(|bar| !bar.is_heartbeat()) {
                known.recall(bar, since, wanted.contains(bar.symbol.as_str()));
            }
            let reached = bars.iter().any(|bar| bar.complete_until < since);
            if reached && listed.iter().all(|symbol| known.last(symbol).is_some()) {
                break;
            }
            left = left.saturating_sub(to - from);
            to = from;
        }
    }
    Ok(known)
}

/// A gap that is older is not tried again.
const TRIED_FOR: Millis = 7 * DAY;

/// The gaps that nothing has filled yet, as they stand at `now`.
pub(super) async fn gaps(log: &SharedLog, now: Millis) -> Result<Vec<Gap>, ProducerError> {
    let mut latest = BTreeMap::new();
    each_record(&**log, &GAPS, |record| {
        let gap = serde_json::from_slice::<Gap>(&record.value);
        if let Ok(gap) = gap.inspect_err(|why| log::passed_over(&record, why))
            && [gap.from, gap.to].iter().all(|at| (EARLIEST..=LATEST_STATED).contains(at))
        {
            latest.insert((gap.symbol.clone(), gap.from), gap);
        }
    })
    .await?;
    Ok(latest
        .into_values()
        .filter(|gap| !gap.is_filled() && gap.to > now - TRIED_FOR && gap.to <= now)
        .collect())
}
