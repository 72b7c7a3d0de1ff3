//! The tail of a topic, from which its producer derives where it stands.

use super::{Log, LogError, Record};
use crate::topic::Topic;

/// The last record of each partition of a data topic, by partition; `None`
/// where nothing has been written.
///
/// # Errors
/// When the log cannot be read.
pub async fn last_records(log: &dyn Log, topic: &Topic) -> Result<Vec<Option<Record>>, LogError> {
    let mut tail = vec![None; log.partitions() as usize];
    for extent in log.extents(topic).await? {
        let Some(last) = tail.get_mut(extent.partition as usize) else { continue };
        if extent.first < extent.next {
            *last = log.read(topic, extent.partition, extent.next - 1, 1).await?.pop();
        }
    }
    Ok(tail)
}
