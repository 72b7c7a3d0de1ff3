//! The bars that the log has had lately, so that a repeat is not written again
//! and a correction is told from a first version.

use std::collections::{BTreeMap, HashMap, HashSet};

use log::{LogError, SharedLog};
use model::time::{DAY, HOUR, Millis};
use model::{Bar, Topic};

use super::Origin;

/// What a bar is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dedup {
    /// The first of its symbol and start.
    New,
    /// Another version of a bar that is there.
    Correction,
    /// The same again.
    Repeat,
    /// One version of a bar too many.
    TooMany,
}

/// Symbols that are known at once: five times the whole US market. Every reader keeps
/// state for each, so a symbol of which nothing came for [`GONE`] makes room for another.
pub(super) const MOST_SYMBOLS: usize = 60_000;
const GONE: Millis = 7 * DAY;
/// Versions of one bar that are taken: a bar is corrected once or twice.
const MOST_VERSIONS: u32 = 1_000;

/// Prices and volume, bit by bit; and the average price, which may be unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    figures: [u64; 5],
    vwap: Option<u64>,
    received: Millis,
    /// So many there have been.
    versions: u32,
}

struct Symbol {
    last: Millis,
    recent: BTreeMap<Millis, Version>,
}

impl Symbol {
    fn none() -> Symbol {
        Symbol { last: Millis::MIN, recent: BTreeMap::new() }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct DedupCache {
    symbols: HashMap<String, Symbol>,
    /// When room was made last.
    looked: Millis,
}

impl DedupCache {
    /// Remembers a bar and says what it is.
    pub(super) fn take(&mut self, bar: &Bar, origin: Origin) -> Dedup {
        let symbol = match self.symbols.get_mut(&bar.symbol) {
            Some(symbol) => symbol,
            None => self.symbols.entry(bar.symbol.clone()).or_insert_with(Symbol::none),
        };
        symbol.last = symbol.last.max(bar.start_timestamp);
        let mut version = Version::of(bar);
        let from_history = origin == Origin::History;
        let held = symbol.recent.get(&bar.start_timestamp);
        if from_history && held.is_some_and(|held| held.received >= version.received) {
            // The feed has brought a version since history was asked.
            return Dedup::Repeat;
        }
        let Some(&before) = held else {
            symbol.recent.insert(bar.start_timestamp, version);
            return Dedup::New;
        };
        version.versions = before.versions + u32::from(!before.is(&version));
        if version.versions > MOST_VERSIONS {
            return Dedup::TooMany;
        }
        symbol.recent.insert(bar.start_timestamp, version);
        if before.is(&version) { Dedup::Repeat } else { Dedup::Correction }
    }

    /// Whether there is room for a symbol; those that are gone at `now` make some.
    pub(super) fn admits(&mut self, symbol: &str, now: Millis) -> bool {
        if self.symbols.len() < MOST_SYMBOLS || self.symbols.contains_key(symbol) {
            return true;
        }
        // No more often than it helps.
        if now >= self.looked + HOUR || now < self.looked {
            self.looked = now;
            self.symbols.retain(|_, symbol| symbol.last > now - GONE);
        }
        self.symbols.len() < MOST_SYMBOLS
    }

    /// Remembers a bar of the log, read from its end; versions only from `since` on. There
    /// is always room for a symbol that is `listed`.
    pub(super) fn recall(&mut self, bar: &Bar, since: Millis, listed: bool) {
        if !listed && self.symbols.len() >= MOST_SYMBOLS && !self.symbols.contains_key(&bar.symbol) {
            return;
        }
        let symbol = self.symbols.entry(bar.symbol.clone()).or_insert_with(Symbol::none);
        symbol.last = symbol.last.max(bar.start_timestamp);
        if bar.start_timestamp >= since {
            symbol.recent.entry(bar.start_timestamp).or_insert_with(|| Version::of(bar));
        }
    }

    /// The last start of a symbol.
    pub(super) fn last(&self, symbol: &str) -> Option<Millis> {
        self.symbols.get(symbol).map(|symbol| symbol.last)
    }

    /// Every symbol, those with the most bars lately first.
    pub(super) fn busiest(&self) -> Vec<&str> {
        let mut symbols: Vec<_> = self.symbols.iter().collect();
        symbols.sort_by_key(|(name, symbol)| (std::cmp::Reverse(symbol.recent.len()), *name));
        symbols.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Forgets bars that start before `before`; the last start of each symbol stays.
    pub(super) fn forget(&mut self, before: Millis) {
        for symbol in self.symbols.values_mut() {
            if symbol.recent.first_key_value().is_some_and(|(first, _)| *first < before) {
                symbol.recent = symbol.recent.split_off(&before);
            }
        }
    }
}

impl Version {
    fn of(bar: &Bar) -> Version {
        let figures = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(f64::to_bits);
        Version { figures, vwap: bar.vwap.map(f64::to_bits), received: bar.received_timestamp, versions: 1 }
    }

    fn is(&self, other: &Version) -> bool {
        let vwap = self.vwap.zip(other.vwap).is_none_or(|(one, other)| one == other);
        self.figures == other.figures && vwap
    }
}

/// Records read at once, and at most.
const AT_ONCE: u64 = 5_000;
const MOST_READ: u64 = 300_000;

/// Reads the tail of the log back to bars that start at `since`, and further
/// until the last bar of every listed symbol has been found, as far as there is one.
pub(super) async fn recall(
    log: &SharedLog,
    topic: &Topic,
    since: Option<Millis>,
    listed: &[String],
) -> Result<DedupCache, LogError> {
    let mut known = DedupCache::default();
    let wanted: HashSet<&str> = listed.iter().map(String::as_str).collect();
    let Some(since) = since else { return Ok(known) };
    for extent in log.extents(topic).await? {
        let (mut to, mut left) = (extent.next, MOST_READ);
        while to > extent.first && left > 0 {
            let from = extent.first.max(to.saturating_sub(AT_ONCE));
            let records = log.read(topic, extent.partition, from, (to - from) as usize).await?;
            // Not every offset holds a record: what lies behind `to` was read before.
            let records = records.iter().take_while(|record| record.offset < to);
            let bars: Vec<Bar> =
                records.filter_map(|record| serde_json::from_slice(&record.value).ok()).collect();
            // The latest version of a bar is the last one.
            for bar in bars.iter().rev().filter(|bar| !bar.is_heartbeat()) {
                known.recall(bar, since, wanted.contains(bar.symbol.as_str()));
            }
            let reached = bars.iter().any(|bar| bar.complete_until < since);
            if reached && listed.iter().all(|symbol| known.last(symbol).is_some()) {
                break;
            }
            left = left.saturating_sub(to - from);
            to = from;
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Origin::{Feed, History};

    fn bar(start: Millis, close: f64) -> Bar {
        Bar {
            symbol: "AAPL".into(),
            close,
            vwap: None,
            start_timestamp: start,
            ..model::heartbeat::bar(0, 0)
        }
    }

    #[test]
    fn repeats_and_corrections_are_told_from_first_versions() {
        let mut known = DedupCache::default();
        assert_eq!(known.take(&bar(60, 1.0), Feed), Dedup::New);
        assert_eq!(known.take(&bar(60, 1.0), Feed), Dedup::Repeat);
        assert_eq!(known.take(&Bar { vwap: Some(2.0), ..bar(60, 1.0) }, Feed), Dedup::Repeat);
        assert_eq!(known.take(&bar(60, 1.5), Feed), Dedup::Correction);
        assert_eq!(known.take(&bar(0, 1.0), Feed), Dedup::New);
        assert_eq!(known.last("AAPL"), Some(60));
        let asked_before = bar(60, 1.0);
        assert_eq!(known.take(&asked_before, History), Dedup::Repeat);
        assert_eq!(known.take(&Bar { received_timestamp: 1, ..asked_before }, History), Dedup::Correction);
        assert_eq!(known.take(&Bar { received_timestamp: 2, ..bar(60, 1.5) }, Feed), Dedup::Correction);
        known.forget(60);
        assert_eq!(known.take(&bar(0, 1.0), Feed), Dedup::New);
        assert_eq!(known.take(&bar(60, 1.5), Feed), Dedup::Repeat);
        known.forget(1_000);
        assert_eq!((known.last("AAPL"), known.last("MSFT")), (Some(60), None));
    }

    #[test]
    fn of_one_bar_only_so_many_versions_are_taken() {
        let mut known = DedupCache::default();
        let mut taken = (1..=MOST_VERSIONS).map(|n| known.take(&bar(60, f64::from(n)), Feed));
        assert!(taken.all(|novelty| matches!(novelty, Dedup::New | Dedup::Correction)));
        assert_eq!(known.take(&bar(60, 0.5), Feed), Dedup::TooMany);
        assert_eq!(known.take(&bar(120, 0.5), Feed), Dedup::New);
    }

    #[test]
    fn only_so_many_symbols_are_known_and_those_that_are_gone_make_room() {
        let mut known = DedupCache::default();
        for n in 0..MOST_SYMBOLS {
            assert!(known.admits(&format!("S{n}"), DAY));
            known.take(&Bar { symbol: format!("S{n}"), ..bar(DAY, 1.0) }, Feed);
        }
        assert!(known.admits("S7", DAY) && !known.admits("NEW", DAY) && !known.admits("NEW", DAY + GONE - 1));
        known.take(&Bar { symbol: "S7".into(), ..bar(2 * DAY, 1.0) }, Feed);
        assert!(known.admits("NEW", DAY + GONE + HOUR));
        assert_eq!((known.symbols.len(), known.last("S7")), (1, Some(2 * DAY)));
    }
}
