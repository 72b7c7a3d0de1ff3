//! What the alerts have come to, kept in the log: a record a partition of the
//! signals, with the offset up to which it holds.

use std::collections::BTreeMap;

use wire::log::{Append, Log, LogError};
use wire::topic::ALERT_STATE;

use crate::error::AlertsError;
use crate::partition::Partition;

/// Records read at once.
const AT_ONCE: usize = 100;

/// The partitions as they were noted last.
pub(crate) async fn read(log: &dyn Log) -> Result<BTreeMap<u32, Partition>, AlertsError> {
    let mut partitions = BTreeMap::new();
    for extent in log.extents(&ALERT_STATE).await? {
        let mut next = extent.first;
        while next < extent.next {
            let records = log.read(&ALERT_STATE, extent.partition, next, AT_ONCE).await?;
            let Some(last) = records.last() else { break };
            next = last.offset + 1;
            for record in records {
                let Ok(partition) = record.key.parse::<u32>() else { continue };
                let noted = serde_json::from_slice(&record.value)
                    .map_err(|source| AlertsError::State { key: record.key, source })?;
                partitions.insert(partition, noted);
            }
        }
    }
    Ok(partitions)
}

/// Notes partitions.
pub(crate) async fn write(
    log: &dyn Log,
    partitions: impl Iterator<Item = (u32, &Partition)>,
) -> Result<(), LogError> {
    let note = |(number, state): (u32, &Partition)| Append::json(ALERT_STATE, &number.to_string(), state);
    log.append(partitions.map(note).collect()).await
}
