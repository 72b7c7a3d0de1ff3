//! A topic read as a whole, from the oldest record that it holds.

use model::topic::Topic;

use super::{Log, LogError, Record};

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
