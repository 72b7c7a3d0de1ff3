//! How far somebody has come in every partition of the topics that the page
//! follows: the identity of an event, from which a stream goes on without a hole.
//!
//! As text: `stock-prices/0:120,news-articles/0:7,volatility/0:98`, the next
//! offset to read after each partition.

use log::{Extent, Log, LogError, Position};
use model::topic::NEWS_ARTICLES;
use model::{AssetClass, Topic};

use crate::measures;

/// One partition of a topic that the page follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicPartition {
    pub(crate) topic: Topic,
    pub(crate) partition: u32,
}

/// The lanes of a log with bars of `classes`, or without any of stocks, whose topics have
/// `partitions` partitions.
pub(crate) fn lanes(partitions: u32, classes: &[AssetClass]) -> Vec<TopicPartition> {
    let classes = if classes.is_empty() { &[AssetClass::Stocks] } else { classes };
    let bars = classes.iter().map(|class| class.raw_topic());
    let windows = classes.iter().map(|class| class.result_topic(measures::topic().name()));
    bars.chain([NEWS_ARTICLES])
        .chain(windows)
        .flat_map(|topic| {
            (0..partitions).map(move |partition| TopicPartition { topic: topic.clone(), partition })
        })
        .collect()
}

/// What each lane holds now; a lane never written is empty.
pub(crate) async fn extents(log: &dyn Log, lanes: &[TopicPartition]) -> Result<Vec<Extent>, LogError> {
    let mut found: Vec<Extent> = Vec::with_capacity(lanes.len());
    for of_topic in lanes.chunk_by(|one, next| one.topic == next.topic) {
        let extents = log.extents(&of_topic[0].topic).await?;
        found.extend(of_topic.iter().map(|lane| {
            let held = extents.iter().find(|extent| extent.partition == lane.partition);
            held.copied().unwrap_or(Extent { partition: lane.partition, first: 0, next: 0 })
        }));
    }
    Ok(found)
}

/// The next offset to read in each lane, in the order of the lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) Vec<u64>);

/// Why a text is no cursor here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCursor {
    #[error("is not a cursor: take the one that /api/v1/series answered with, as it is")]
    Malformed,
    #[error("lacks {0}: it is from another log; load /api/v1/series again")]
    Incomplete(String),
}

impl Cursor {
    /// After everything that is there.
    pub(crate) fn end(extents: &[Extent]) -> Cursor {
        Cursor(extents.iter().map(|extent| extent.next).collect())
    }

    /// Where a reader that committed `positions` goes on: after them, else at
    /// the oldest record kept.
    pub(crate) fn after(positions: &[Position], lanes: &[TopicPartition], extents: &[Extent]) -> Cursor {
        let committed = |lane: &TopicPartition| {
            let at = |at: &&Position| at.topic == lane.topic && at.partition == lane.partition;
            positions.iter().find(at).map_or(0, |at| at.offset)
        };
        Cursor(lanes.iter().zip(extents).map(|(lane, extent)| committed(lane).max(extent.first)).collect())
    }

    /// Reads a cursor; lanes that are not followed here are passed over.
    pub(crate) fn parse(text: &str, lanes: &[TopicPartition]) -> Result<Cursor, BadCursor> {
        let mut offsets = vec![None; lanes.len()];
        for part in text.split(',') {
            let (lane, offset) = part.trim().split_once(':').ok_or(BadCursor::Malformed)?;
            let (topic, partition) = lane.rsplit_once('/').ok_or(BadCursor::Malformed)?;
            let partition: u32 = partition.parse().map_err(|_| BadCursor::Malformed)?;
            let offset: u64 = offset.parse().map_err(|_| BadCursor::Malformed)?;
            let known =
                lanes.iter().position(|lane| lane.topic.name() == topic && lane.partition == partition);
            if let Some(index) = known {
                offsets[index] = Some(offset);
            }
        }
        let named = |(offset, lane): (Option<u64>, &TopicPartition)| {
            offset.ok_or_else(|| BadCursor::Incomplete(format!("{}/{}", lane.topic, lane.partition)))
        };
        offsets.into_iter().zip(lanes).map(named).collect::<Result<_, _>>().map(Cursor)
    }

    /// The text that [`Cursor::parse`] reads.
    pub(crate) fn text(&self, lanes: &[TopicPartition]) -> String {
        let parts: Vec<String> = lanes
            .iter()
            .zip(&self.0)
            .map(|(lane, offset)| format!("{}/{}:{offset}", lane.topic, lane.partition))
            .collect();
        parts.join(",")
    }

    /// Moves lanes that point where nothing is any more to the nearest offset
    /// that exists; returns whether any had to move.
    pub(crate) fn clamp(&mut self, extents: &[Extent]) -> bool {
        let mut moved = false;
        for (offset, extent) in self.0.iter_mut().zip(extents) {
            let kept = (*offset).clamp(extent.first, extent.next);
            moved |= kept != *offset;
            *offset = kept;
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::topic::STOCK_PRICES;

    fn extent(first: u64, next: u64) -> Extent {
        Extent { partition: 0, first, next }
    }

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let lanes = lanes(2, &[]);
        let cursor = Cursor(vec![1, 2, 3, 4, 5, u64::MAX]);
        let text = cursor.text(&lanes);
        assert!(text.starts_with("stock-prices/0:1,stock-prices/1:2,news-articles/0:3"), "{text}");
        assert_eq!(Cursor::parse(&text, &lanes), Ok(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_told_from_one_of_another_log() {
        let lanes = lanes(1, &[]);
        for text in ["", "7", "stock-prices:7", "stock-prices/0:-1", "stock-prices/x:1", "a/0:1,,"] {
            assert_eq!(Cursor::parse(text, &lanes), Err(BadCursor::Malformed), "{text}");
        }
        let other = Cursor::parse("stock-prices/0:7,unknown/0:1", &lanes);
        assert_eq!(other, Err(BadCursor::Incomplete("news-articles/0".into())));
    }

    #[test]
    fn a_cursor_outside_what_the_log_holds_moves_to_its_nearest_end() {
        let extents = [extent(10, 20), extent(0, 5), extent(0, 0)];
        let mut cursor = Cursor(vec![3, 9, 0]);
        assert!(cursor.clamp(&extents));
        assert_eq!(cursor, Cursor(vec![10, 5, 0]));
        assert!(!cursor.clamp(&extents));
    }

    #[test]
    fn a_reader_that_committed_nothing_goes_on_at_the_oldest_record() {
        let lanes = lanes(1, &[]);
        let extents = [extent(10, 20), extent(0, 5), extent(3, 3)];
        let positions = [Position { topic: STOCK_PRICES, partition: 0, offset: 15, note: String::new() }];
        assert_eq!(Cursor::after(&positions, &lanes, &extents), Cursor(vec![15, 0, 3]));
    }
}
