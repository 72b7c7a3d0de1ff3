//! The tail of a topic, from which its producer derives where it stands.
//!
//! Not every offset of a partition holds a record: a transaction of Kafka ends
//! with a marker that takes an offset, and compaction leaves holes. So the last
//! record need not stand right before the end.

use model::time::Millis;
use model::topic::Topic;

use super::{Extent, Log, LogError, Record};

/// The last record of each partition of a data topic, by partition; `None`
/// where nothing has been written.
///
/// # Errors
/// When the log cannot be read.
pub async fn last_records(log: &dyn Log, topic: &Topic) -> Result<Vec<Option<Record>>, LogError> {
    let mut tail = vec![None; log.partitions() as usize];
    for extent in log.extents(topic).await? {
        let Some(last) = tail.get_mut(extent.partition as usize) else { continue };
        *last = tail_of(log, topic, extent, 1).await?.pop();
    }
    Ok(tail)
}

/// How many offsets are looked at first for one record: a record and the marker behind it.
const FIRST_LOOK: u64 = 4;
/// How many times as far the next look goes back.
const FURTHER: u64 = 8;

/// The last `count` records of one partition, in order; fewer where it holds fewer.
///
/// # Errors
/// When the log cannot be read.
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

/// Whether a partition holds another record at `offset` than the one that was appended
/// there at `appended_at`: the topic was deleted and made anew. Where that place is no
/// longer kept, nothing can be said against it.
///
/// # Errors
/// When the log cannot be read.
pub async fn is_another(
    log: &dyn Log,
    topic: &Topic,
    partition: u32,
    offset: u64,
    appended_at: Millis,
) -> Result<bool, LogError> {
    let records = log.read(topic, partition, offset, 1).await?;
    Ok(records.first().is_some_and(|record| record.offset == offset && record.appended_at != appended_at))
}

/// A distance that may be markers and holes only; a longer one holds records.
const MAY_BE_EMPTY: u64 = 64;

/// How many records of a partition are left to a reader whose next offset is `next`.
/// Exact where few are left, else the distance in offsets, which is no less.
///
/// # Errors
/// When the log cannot be read.
pub async fn unread(log: &dyn Log, topic: &Topic, extent: Extent, next: u64) -> Result<u64, LogError> {
    let from = next.max(extent.first);
    let distance = extent.next.saturating_sub(from);
    if distance == 0 || distance > MAY_BE_EMPTY {
        return Ok(distance);
    }
    let records = log.read(topic, extent.partition, from, distance as usize).await?;
    Ok(records.iter().filter(|record| record.offset < extent.next).count() as u64)
}

// A topic read as a whole, from the oldest record that it holds.

/// Records read at once.
const AT_ONCE: usize = 1_000;

/// Hands every record that a topic holds to `each`, partition by partition, in order.
///
/// # Errors
/// When the log cannot be read.
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
