//! Of which symbols records are sent to viewers: those that somebody watches, and
//! of all others as many as a page lists. A market has tens of thousands of symbols,
//! and what is sent of each is sent to each viewer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::item::{Item, Kind};

/// Symbols whose newest rows go to every viewer: the first by name, as many as the
/// live page lists.
pub(crate) const LISTED: usize = 1_000;

/// A listed symbol of which nothing has come for so long makes room for another: delisted
/// ones, and names that never were symbols, would else stay for ever. One that comes back
/// is listed again.
const SILENT: Duration = Duration::from_secs(3_600);

/// For each lane the offset from which on the records of a symbol are kept.
type Since = Vec<u64>;

/// The symbols that are shown.
#[derive(Default)]
pub(crate) struct Shown {
    listed: BTreeMap<String, Listed>,
    watched: BTreeMap<String, Watched>,
}

struct Listed {
    since: Since,
    /// When something of it came last.
    seen: Instant,
}

struct Watched {
    viewers: usize,
    since: Since,
}

impl Shown {
    /// Somebody watches a symbol, whose records are kept from `since` on.
    pub(crate) fn watch(&mut self, symbol: &str, since: impl Iterator<Item = u64>) {
        match self.watched.get_mut(symbol) {
            Some(watched) => watched.viewers += 1,
            None => {
                let listed = self.listed.get(symbol).map(|listed| listed.since.clone());
                let since = listed.unwrap_or_else(|| since.collect());
                self.watched.insert(symbol.to_owned(), Watched { viewers: 1, since });
            }
        }
    }

    /// One viewer less.
    pub(crate) fn unwatch(&mut self, symbol: &str) {
        match self.watched.get_mut(symbol) {
            Some(watched) if watched.viewers > 1 => watched.viewers -= 1,
            _ => drop(self.watched.remove(symbol)),
        }
    }

    /// Lists the symbols of records that have come, as far as there is room; `since` says
    /// from where on records are kept now.
    pub(crate) fn admit(&mut self, items: &[Arc<Item>], now: Instant, since: impl Fn() -> Since) {
        // A search for silent ones costs as much as the list is long: one for all items.
        let mut searched = false;
        for symbol in items.iter().filter(|item| item.kind != Kind::Article).map(|item| &item.symbol) {
            if let Some(listed) = self.listed.get_mut(symbol) {
                listed.seen = now;
                continue;
            }
            if self.listed.len() >= LISTED && !std::mem::replace(&mut searched, true) {
                self.listed.retain(|_, listed| now.saturating_duration_since(listed.seen) < SILENT);
            }
            let has_room = self.listed.len() < LISTED
                || self.listed.last_key_value().is_some_and(|(last, _)| symbol < last);
            if has_room {
                self.listed.insert(symbol.clone(), Listed { since: since(), seen: now });
                if self.listed.len() > LISTED {
                    self.listed.pop_last();
                }
            }
        }
    }

    /// What was kept of the lanes is gone: whatever is kept from now on is whole.
    pub(crate) fn starts_over(&mut self) {
        let watched = self.watched.values_mut().map(|watched| &mut watched.since);
        let listed = self.listed.values_mut().map(|listed| &mut listed.since);
        listed.chain(watched).for_each(|since| since.fill(0));
    }

    /// Whether an item is sent to anybody.
    pub(crate) fn has(&self, item: &Item) -> bool {
        self.watched.contains_key(&item.symbol)
            || item.kind != Kind::Article && self.listed.contains_key(&item.symbol)
    }

    /// Whether every record of a watched symbol that the lane has from `from` on is kept.
    pub(crate) fn is_kept_from(&self, symbol: &str, lane: usize, from: u64) -> bool {
        self.watched.get(symbol).is_some_and(|watched| from >= watched.since[lane])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(symbol: &str, kind: Kind) -> Arc<Item> {
        let json = serde_json::value::to_raw_value(&7).unwrap().into();
        Arc::new(Item { offset: 0, kind, symbol: symbol.into(), time: 0, enough: true, json })
    }

    #[test]
    fn of_many_symbols_the_first_by_name_are_listed_and_the_watched_ones_kept() {
        let mut shown = Shown::default();
        let name = |n: usize| format!("S{n:05}");
        shown.watch("S90000", [5, 6].into_iter());
        let items: Vec<_> = (0..3 * LISTED).rev().map(|n| item(&name(n), Kind::Bar)).collect();
        shown.admit(&items, Instant::now(), || vec![0, 0]);
        assert_eq!(shown.listed.len(), LISTED);
        let has = |n: usize, kind| shown.has(&item(&name(n), kind));
        assert!(has(0, Kind::Bar) && has(LISTED - 1, Kind::Volatility) && has(90_000, Kind::Article));
        assert!(!has(LISTED, Kind::Bar) && !has(0, Kind::Article), "an article goes to its viewers only");
    }

    #[test]
    fn symbols_that_have_gone_silent_make_room_and_come_back_when_they_are_seen() {
        let mut shown = Shown::default();
        let (now, kind) = (Instant::now(), Kind::Bar);
        let items = |prefix: &str| -> Vec<_> {
            (0..LISTED).map(|n| item(&format!("{prefix}{n:05}"), kind)).collect()
        };
        shown.admit(&items("A"), now, Since::new);
        shown.admit(&[item("A00007", kind)], now + SILENT, Since::new);
        shown.admit(&[item("Z", kind)], now + SILENT / 2, Since::new);
        assert!(!shown.has(&item("Z", kind)), "nothing is silent for long");
        shown.admit(&[item("Z", kind)], now + SILENT, Since::new);
        assert!(shown.has(&item("Z", kind)) && shown.has(&item("A00007", kind)));
        assert!(!shown.has(&item("A00008", kind)));
        shown.admit(&items("A"), now + SILENT, Since::new);
        assert!(shown.has(&item("A00008", kind)) && !shown.has(&item("Z", kind)));
        assert_eq!(shown.listed.len(), LISTED);
    }

    #[test]
    fn a_symbol_is_kept_from_its_first_viewer_to_its_last() {
        let mut shown = Shown::default();
        shown.watch("A", [5, 6].into_iter());
        shown.watch("A", [9, 9].into_iter());
        assert!(shown.is_kept_from("A", 0, 5) && !shown.is_kept_from("A", 1, 5));
        shown.unwatch("A");
        assert!(shown.has(&item("A", Kind::Bar)));
        shown.unwatch("A");
        assert!(!shown.has(&item("A", Kind::Bar)) && !shown.is_kept_from("A", 0, 100));
    }
}
