//! What the log has, read as it grows.

use std::collections::HashMap;

use model::Bar;
use model::time::Millis;
use model::topic::STOCK_PRICES;
use testkit::massive::MinuteBar;

use super::super::place::Place;

/// Symbol and start.
pub(super) type Key = (String, Millis);
/// Prices and volume.
pub(super) type Figures = ([f64; 4], f64);

/// What has been read of the log so far.
#[derive(Default)]
pub(super) struct Seen {
    next: u64,
    complete: Option<Millis>,
    pub(super) latest: HashMap<Key, (Millis, Figures)>,
    /// First versions that came before what was said to be complete.
    pub(super) late: Vec<(Key, Millis)>,
    /// Records that say nothing new.
    pub(super) repeated: Vec<Key>,
}

impl Seen {
    pub(super) async fn read_on(&mut self, place: &Place) {
        for record in place.log.read(&STOCK_PRICES, 0, self.next, 100_000).await.unwrap() {
            self.next = record.offset + 1;
            let bar: Bar = serde_json::from_slice(&record.value).unwrap();
            assert!(self.complete.is_none_or(|before| before <= bar.complete_until), "time fell: {bar:?}");
            if !bar.is_heartbeat() {
                self.take(&bar);
            }
            self.complete = Some(bar.complete_until);
        }
    }

    fn take(&mut self, bar: &Bar) {
        let key = (bar.symbol.clone(), bar.start_timestamp);
        let figures = ([bar.open, bar.high, bar.low, bar.close], bar.volume);
        let before = self.latest.get(&key).copied();
        if before.is_none() && self.complete.is_some_and(|complete| bar.start_timestamp < complete) {
            self.late.push((key.clone(), self.complete.unwrap_or_default()));
        }
        if before.is_some_and(|(_, before)| before == figures) {
            self.repeated.push(key.clone());
        }
        if before.is_none_or(|(received, _)| received <= bar.received_timestamp) {
            self.latest.insert(key, (bar.received_timestamp, figures));
        }
    }

    pub(super) fn has(&self, bar: &MinuteBar) -> bool {
        let found = self.latest.get(&(bar.symbol.clone(), bar.start));
        found.is_some_and(|(_, figures)| *figures == (bar.prices, bar.volume))
    }
}
