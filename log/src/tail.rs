//! Reads the end of a partition, counts unread records, and scans whole topics.
//!
//! Not every offset of a partition holds a record: a Kafka transaction ends with a marker that
//! takes an offset, and compaction removes records. So the last record may be before the last
//! offset.

use model::time::Millis;
use model::topic::Topic;

use super::{Extent, Log, LogError, Record};

/// The last record of each partition of a data topic, indexed by partition; `None` for a
/// partition without records.
///
/// # Errors
/// If the log cannot be read.
pub async fn last_records(log: &dyn Log, topic: &Topic) -> Result<Vec<Option<Record>>, LogError> {
    let mut tail = vec![None; log.partitions() as usize];
    for extent in log.extents(topic).await? {
        let Some(last) = tail.get_mut(extent.partition as usize) else { continue };
        *last = tail_of(log, topic, extent, 1).await?.pop();
    }
    Ok(tail)
}

/// How many offsets are read first when looking for one record: the record and the transaction
/// marker after it.
const FIRST_LOOK: u64 = 4;
/// The factor by which the range grows when it held too few records.
const FURTHER: u64 = 8;

/// The last `count` records of one partition, in order; fewer if the partition holds fewer.
///
/// # Errors
/// If the log cannot be read.
pub async fn tail_of(
    log: &dyn Log,
    topic: &Topic,
    extent: Extent,
    count: usize,
) -> Result<Vec<Record>, LogError> {
    let mut back = (count as u64).saturating_mul(2).max(FIRST_LOOK);
    loop {
        let from = extent.next.saturating_sub(back).max(extent.first);
        if from >= extent.next || count == 0 {
            return Ok(Vec::new());
        }
        let mut records = log.read(topic, extent.partition, from, (extent.next - from) as usize).await?;
        if records.len() >= count || from == extent.first {
            records.drain(..records.len().saturating_sub(count));
            return Ok(records);
        }
        back = back.saturating_mul(FURTHER);
    }
}

/// Whether the record at `offset` differs from the one that was appended there at `appended_at`
/// (wall clock, ms), because the topic was deleted and recreated. False where that offset is no
/// longer kept.
///
/// # Errors
/// If the log cannot be read.
pub async fn was_recreated(
    log: &dyn Log,
    topic: &Topic,
    partition: u32,
    offset: u64,
    appended_at: Millis,
) -> Result<bool, LogError> {
    let records = log.read(topic, partition, offset, 1).await?;
    Ok(records.first().is_some_and(|record| record.offset == offset && record.appended_at != appended_at))
}

/// Up to this distance in offsets, all of them may be transaction markers or compacted records;
/// a longer one is taken to hold records.
const MAY_BE_EMPTY: u64 = 64;

/// How many records of a partition are left for a reader whose next offset is `next`. Exact for
/// short distances, otherwise the distance in offsets, which is an upper bound.
///
/// # Errors
/// If the log cannot be read.
pub async fn unread(log: &dyn Log, topic: &Topic, extent: Extent, next: u64) -> Result<u64, LogError> {
    let from = next.max(extent.first);
    let distance = extent.next.saturating_sub(from);
    if distance == 0 || distance > MAY_BE_EMPTY {
        return Ok(distance);
    }
    let records = log.read(topic, extent.partition, from, distance as usize).await?;
    Ok(records.iter().filter(|record| record.offset < extent.next).count() as u64)
}

/// How many records one read of [`each_record`] asks for.
const AT_ONCE: usize = 1_000;

/// Passes every record of a topic to `each`, partition by partition, in order.
///
/// # Errors
/// If the log cannot be read.
pub async fn each_record(log: &dyn Log, topic: &Topic, mut each: impl FnMut(Record)) -> Result<(), LogError> {
    for extent in log.extents(topic).await? {
        let mut from = extent.first;
        while from < extent.next {
            let records = log.read(topic, extent.partition, from, AT_ONCE).await?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            records.into_iter().for_each(&mut each);
        }
    }
    Ok(())
}
