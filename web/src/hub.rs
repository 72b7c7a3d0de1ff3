//! The one reader behind all viewers: it decodes each record once into a
//! bounded ring that every viewer reads at a place of its own. Who has fallen
//! behind the ring reads from the log.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use futures::FutureExt;
use log::time_bounds::LaneTimes;
use log::{Extent, LogError, SharedLog};
use model::AssetClass;
use tokio::sync::{Notify, watch};

use crate::cursor::{self, TopicPartition};
use crate::item::{self, Item};
use crate::shown::Shown;
use crate::status::{Board, Report};

/// The most decoded records kept in memory for each lane. Records of symbols that no
/// viewer is sent are not among them.
const RING: usize = 4_096;
/// Records read from the log at once.
const PAGE: usize = 1_000;
/// The pause between an append and the look at the log: what arrives in between is read together.
const PACE: Duration = Duration::from_millis(50);
/// The longest time between two looks at the log.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// The pause after the log failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Reads the log while anybody watches.
pub(crate) struct Hub {
    log: SharedLog,
    lanes: Vec<TopicPartition>,
    kept: RwLock<Kept>,
    status: RwLock<Option<Arc<Report>>>,
    news: watch::Sender<u64>,
    wanted: Notify,
}

/// What is kept of the lanes, and of which symbols.
struct Kept {
    rings: Vec<Ring>,
    shown: Shown,
}

/// The newest records of a lane, decoded: complete from offset `first` up to but
/// not including `next`, as far as their symbols are shown. Offsets without an item
/// had nothing to show.
struct Ring {
    first: u64,
    next: u64,
    items: VecDeque<Arc<Item>>,
    /// What is believed of times from `next` on.
    times: Option<LaneTimes>,
}

/// What was found from an offset on.
pub(crate) struct Found {
    pub(crate) items: Vec<Arc<Item>>,
    /// Where to go on.
    pub(crate) next: u64,
    /// Whether records after the offset are no longer kept.
    pub(crate) lost: bool,
}

/// One viewer's interest. As long as it is held, the hub reads, and keeps what comes
/// of the viewer's symbol.
pub(crate) struct Watching {
    hub: Arc<Hub>,
    symbol: Option<String>,
    pub(crate) news: watch::Receiver<u64>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(symbol) = &self.symbol {
            self.hub.kept_mut().shown.unwatch(symbol);
        }
    }
}

impl Hub {
    pub(crate) fn new(log: SharedLog, classes: &[AssetClass]) -> Arc<Hub> {
        let lanes = cursor::lanes(log.partitions(), classes);
        let rings = lanes.iter().map(|_| Ring::NONE).collect();
        Arc::new(Hub {
            log,
            lanes,
            kept: RwLock::new(Kept { rings, shown: Shown::default() }),
            status: RwLock::default(),
            news: watch::Sender::new(0),
            wanted: Notify::new(),
        })
    }

    pub(crate) fn lanes(&self) -> &[TopicPartition] {
        &self.lanes
    }

    /// Begins to watch, a symbol's records among the rest.
    pub(crate) fn watch(self: &Arc<Self>, symbol: Option<&str>) -> Watching {
        if let Some(symbol) = symbol {
            let Kept { rings, shown } = &mut *self.kept_mut();
            shown.watch(symbol, rings.iter().map(Ring::end));
        }
        let news = self.news.subscribe();
        self.wanted.notify_one();
        Watching { hub: Arc::clone(self), symbol: symbol.map(str::to_owned), news }
    }

    /// What the services said last.
    pub(crate) fn status(&self) -> Option<Arc<Report>> {
        self.status.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a lane holds from offset `from` on for a viewer of `symbol`: of the records
    /// that are kept `most`, else what is shown of a page of the log.
    pub(crate) async fn read(
        &self,
        lane: usize,
        from: u64,
        symbol: Option<&str>,
        most: usize,
    ) -> Result<Found, LogError> {
        {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            let is_whole = symbol.is_none_or(|symbol| kept.shown.is_kept_from(symbol, lane, from));
            if let Some(found) = kept.rings[lane].read(from, most).filter(|_| is_whole) {
                return Ok(found);
            }
        }
        let TopicPartition { topic, partition } = &self.lanes[lane];
        let extents = self.log.extents(topic).await?;
        let before = extent_before(&extents, *partition, from);
        let start = from.max(before.first);
        let records = self.log.read(topic, *partition, start, PAGE).await?;
        let next = records.last().map_or(start, |last| last.offset + 1);
        let mut times = LaneTimes::before(self.log.as_ref(), topic, before, item::times).await?;
        let items = records.iter().filter_map(|record| Item::of(record, &mut times));
        let mut items: Vec<_> = items.map(Arc::new).collect();
        let Kept { rings, shown } = &mut *self.kept_mut();
        shown.admit(&items, Instant::now(), || rings.iter().map(Ring::end).collect());
        items.retain(|item| shown.has(item));
        Ok(Found { items, next, lost: from < before.first })
    }

    /// Reads until it is dropped; sleeps while nobody watches.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut board = Board::default();
        loop {
            while self.news.receiver_count() == 0 {
                self.wanted.notified().await;
            }
            if let Err(error) = self.follow(&mut board).await {
                tracing::warn!(%error, "the page cannot follow the log and tries again");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            let Kept { rings, shown } = &mut *self.kept_mut();
            rings.fill_with(|| Ring::NONE);
            shown.starts_over();
        }
    }

    /// Starts at the end of every lane and follows it while anybody watches.
    async fn follow(&self, board: &mut Board) -> Result<(), LogError> {
        let extents = cursor::extents(self.log.as_ref(), &self.lanes).await?;
        for (ring, extent) in self.kept_mut().rings.iter_mut().zip(&extents) {
            *ring = Ring::starting_at(extent.next);
        }
        board.refresh(self.log.as_ref()).await?;
        self.publish(board);
        self.news.send_modify(|version| *version += 1);
        while self.news.receiver_count() > 0 {
            // Listened for before the lanes are read: what is appended meanwhile does not wait for the next look.
            let mut appended = pin!(self.log.appended(LOOK_AGAIN));
            let is_there = appended.as_mut().now_or_never().is_some();
            let mut taken = 0;
            for lane in 0..self.lanes.len() {
                taken += self.fill(lane).await?;
            }
            // A silence is news as well.
            let said = board.refresh(self.log.as_ref()).await?
                || self.status().is_some_and(|report| report.stalled != board.stalled());
            if said {
                self.publish(board);
            }
            if taken > 0 || said {
                self.news.send_modify(|version| *version += 1);
            }
            if taken < PAGE {
                if !is_there {
                    appended.await;
                }
                tokio::time::sleep(PACE).await;
            }
        }
        Ok(())
    }

    /// Takes what is shown of up to a page of a lane into its ring; returns the number
    /// of records read.
    async fn fill(&self, lane: usize) -> Result<usize, LogError> {
        let (from, times) = {
            let ring = &self.kept.read().unwrap_or_else(PoisonError::into_inner).rings[lane];
            (ring.next, ring.times)
        };
        let TopicPartition { topic, partition } = &self.lanes[lane];
        let records = self.log.read(topic, *partition, from, PAGE).await?;
        if let Some(last) = records.last() {
            let mut times = match times {
                Some(times) => times,
                None => {
                    let extents = self.log.extents(topic).await?;
                    let before = extent_before(&extents, *partition, from);
                    LaneTimes::before(self.log.as_ref(), topic, before, item::times).await?
                }
            };
            let items = records.iter().filter_map(|record| Item::of(record, &mut times));
            let mut items: Vec<_> = items.map(Arc::new).collect();
            let Kept { rings, shown } = &mut *self.kept_mut();
            shown.admit(&items, Instant::now(), || rings.iter().map(Ring::end).collect());
            items.retain(|item| shown.has(item));
            rings[lane].push(items, last.offset + 1);
            rings[lane].times = Some(times);
        }
        Ok(records.len())
    }

    fn kept_mut(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, board: &Board) {
        *self.status.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(board.report()));
    }
}

/// What a partition holds before offset `from`, which a viewer may have made up.
fn extent_before(extents: &[Extent], partition: u32, from: u64) -> Extent {
    let held = extents.iter().find(|extent| extent.partition == partition);
    let held = held.copied().unwrap_or(Extent { partition, first: 0, next: 0 });
    Extent { next: from.clamp(held.first, held.next.max(held.first)), ..held }
}

impl Ring {
    /// Holds nothing: whoever reads goes to the log.
    const NONE: Ring = Ring { first: u64::MAX, next: u64::MAX, items: VecDeque::new(), times: None };

    /// From where on what comes is kept; all of it, where the ring holds nothing yet.
    fn end(&self) -> u64 {
        if self.next == u64::MAX { 0 } else { self.next }
    }

    fn starting_at(offset: u64) -> Ring {
        Ring { first: offset, next: offset, items: VecDeque::new(), times: None }
    }

    /// Up to `most` items from `from` on, if the ring reaches back so far.
    fn read(&self, from: u64, most: usize) -> Option<Found> {
        if from < self.first {
            return None;
        }
        let start = self.items.partition_point(|item| item.offset < from);
        let items: Vec<_> = self.items.range(start..).take(most).cloned().collect();
        let next = match items.last() {
            Some(last) if start + items.len() < self.items.len() => last.offset + 1,
            _ => self.next.max(from),
        };
        Some(Found { items, next, lost: false })
    }

    fn push(&mut self, items: Vec<Arc<Item>>, next: u64) {
        self.items.extend(items);
        self.next = next;
        while self.items.len() > RING {
            if let Some(oldest) = self.items.pop_front() {
                self.first = oldest.offset + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Kind;

    fn item(offset: u64) -> Arc<Item> {
        let json = serde_json::value::to_raw_value(&offset).unwrap().into();
        Arc::new(Item { offset, kind: Kind::Bar, symbol: "A".into(), time: 0, enough: true, json })
    }

    fn offsets(found: &Found) -> Vec<u64> {
        found.items.iter().map(|item| item.offset).collect()
    }

    #[test]
    fn a_ring_gives_what_is_new_and_goes_on_after_records_with_nothing_to_show() {
        let mut ring = Ring::starting_at(5);
        ring.push(vec![item(5), item(7)], 10);
        let found = ring.read(6, RING).unwrap();
        assert_eq!((offsets(&found), found.next), (vec![7], 10));
        assert_eq!(offsets(&ring.read(10, RING).unwrap()), Vec::<u64>::new());
        assert!(ring.read(4, RING).is_none());
    }

    #[test]
    fn a_ring_gives_so_many_items_and_goes_on_after_the_last_of_them() {
        let mut ring = Ring::starting_at(0);
        ring.push(vec![item(1), item(3), item(8)], 20);
        let first = ring.read(0, 2).unwrap();
        assert_eq!((offsets(&first), first.next), (vec![1, 3], 4));
        let rest = ring.read(first.next, 2).unwrap();
        assert_eq!((offsets(&rest), rest.next), (vec![8], 20));
    }

    #[test]
    fn a_full_ring_forgets_the_oldest_and_says_so() {
        let mut ring = Ring::starting_at(0);
        ring.push((0..RING as u64 + 10).map(item).collect(), RING as u64 + 10);
        assert_eq!(ring.items.len(), RING);
        assert!(ring.read(9, RING).is_none());
        assert_eq!(ring.read(10, RING).unwrap().items.len(), RING);
    }
}
