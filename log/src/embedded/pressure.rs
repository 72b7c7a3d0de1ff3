//! Back-pressure: appends wait for readers that have fallen far behind, so that
//! no source runs away from what works on it, and the disk is not filled with
//! what nobody has looked at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use model::topic::Topic;

use crate::Extent;

/// A reader may be so many records behind in a partition before appends wait for it.
pub(super) const FAR_BEHIND: u64 = 50_000;
/// How many records are appended between two looks at the readers.
const LOOK_EVERY: u64 = 5_000;

/// The next offset of each partition.
type Next = Mutex<BTreeMap<(Topic, u32), u64>>;

/// Where a reader stands.
pub(super) type Place = Arc<Next>;

/// The readers that are at work in this process.
#[derive(Default)]
pub(super) struct Readers {
    at_work: Mutex<Vec<(Vec<Topic>, Weak<Next>)>>,
    since_look: AtomicU64,
}

impl Readers {
    /// Takes note of a reader; it counts as long as its place is kept.
    pub(super) fn add(&self, topics: &[Topic], place: &Place) {
        lock(&self.at_work).push((topics.to_vec(), Arc::downgrade(place)));
    }

    /// Whether it is time for a look, `records` being about to be appended.
    pub(super) fn is_due(&self, records: usize) -> bool {
        let due = self.since_look.fetch_add(records as u64, Relaxed) + records as u64 >= LOOK_EVERY;
        if due {
            self.since_look.store(0, Relaxed);
        }
        due
    }

    /// How far the last reader of `topic` is behind, at worst in one partition.
    pub(super) fn behind(&self, topic: &Topic, extents: &[Extent]) -> u64 {
        let mut at_work = lock(&self.at_work);
        at_work.retain(|(_, place)| place.strong_count() > 0);
        let of_topic = at_work
            .iter()
            .filter(|(topics, _)| topics.contains(topic))
            .filter_map(|(_, place)| place.upgrade());
        let behind = of_topic.flat_map(|place| {
            let place = lock(&place);
            let next = |extent: &Extent| place.get(&(topic.clone(), extent.partition)).copied().unwrap_or(0);
            extents
                .iter()
                .map(|extent| extent.next - next(extent).clamp(extent.first, extent.next))
                .collect::<Vec<_>>()
        });
        behind.max().unwrap_or(0)
    }
}

/// Locks what no panic leaves half done.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
