//! Which gaps stand recorded: they grow while nothing can be done, and end
//! filled or for good.

use std::collections::BTreeMap;

use log::{LogError, SharedLog, each_record};
use model::time::{DAY, EARLIEST, LATEST_STATED, Millis};
use model::topic::GAPS;
use model::{Gap, Instrument};

/// The reason of a gap that is none any more.
pub(super) const FILLED: &str = "filled from history";

#[derive(Debug, Default)]
pub(super) struct Gaps {
    open: BTreeMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    gap: Gap,
    /// How far it has been recorded.
    recorded: Millis,
}

impl Gaps {
    /// Bars of `from..to` are missing for now. A gap is recorded at first and
    /// whenever it has grown by an eighth.
    pub(super) fn grow(&mut self, gap: Gap) -> Option<Gap> {
        let Some(open) = self.open.get_mut(&gap.symbol) else {
            self.open.insert(gap.symbol.clone(), Open { recorded: gap.to, gap: gap.clone() });
            return Some(gap);
        };
        open.gap.to = open.gap.to.max(gap.to);
        open.gap.reason = gap.reason;
        let recorded = open.recorded - open.gap.from;
        if open.gap.to - open.recorded < (recorded / 8).max(1) {
            return None;
        }
        open.recorded = open.gap.to;
        Some(open.gap.clone())
    }

    /// Nothing of `symbol` is missing any more: what was missing in the end,
    /// where that is not recorded, and then nothing.
    pub(super) fn fill(&mut self, symbol: &str) -> Vec<Gap> {
        let Some(Open { gap, recorded }) = self.open.remove(symbol) else { return Vec::new() };
        let filled = Gap { to: gap.from, reason: FILLED.into(), ..gap.clone() };
        if gap.to > recorded { vec![gap, filled] } else { vec![filled] }
    }

    /// `gap` stays for good, and what is open of its symbol begins anew where it ends.
    pub(super) fn cut(&mut self, gap: Gap) -> Vec<Gap> {
        let Some(open) = self.open.remove(&gap.symbol).filter(|open| open.gap.from != gap.from) else {
            return vec![gap];
        };
        // A gap is identified by its symbol and start: the record of the open one ends,
        // since `gap` covers what of it cannot be filled.
        let recorded = Gap { to: open.gap.from, reason: gap.reason.clone(), ..open.gap };
        vec![gap, recorded]
    }

    /// What is missing stays so.
    pub(super) fn give_up(&mut self, gap: Gap) -> Gap {
        match self.open.remove(&gap.symbol) {
            Some(open) => Gap { from: open.gap.from.min(gap.from), to: open.gap.to.max(gap.to), ..gap },
            None => gap,
        }
    }
}

/// Whether there may be bars of `symbol` between `from` and `to`.
pub(super) fn trades(symbol: &str, from: Millis, to: Millis) -> bool {
    Instrument::of(symbol).calendar().trades_between(from, to)
}

/// A gap that is older is not tried again.
const TRIED_FOR: Millis = 7 * DAY;

/// The gaps that nothing has filled yet, as they stand at `now`.
pub(super) async fn unfilled(log: &SharedLog, now: Millis) -> Result<Vec<Gap>, LogError> {
    let mut latest = BTreeMap::new();
    each_record(&**log, &GAPS, |record| {
        let gap = serde_json::from_slice::<Gap>(&record.value);
        if let Ok(gap) = gap.inspect_err(|why| log::warn_skipped(&record, why))
            && [gap.from, gap.to].iter().all(|at| (EARLIEST..=LATEST_STATED).contains(at))
        {
            latest.insert((gap.symbol.clone(), gap.from), gap);
        }
    })
    .await?;
    Ok(latest
        .into_values()
        .filter(|gap| !gap.is_filled() && gap.to > now - TRIED_FOR && gap.to <= now)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::{HOUR, MINUTE, parse};

    fn gap(to: Millis) -> Gap {
        Gap { symbol: "AAPL".into(), from: 0, to, reason: "down".into() }
    }

    #[test]
    fn a_growing_gap_is_recorded_each_time_it_has_grown_by_an_eighth() {
        let mut gaps = Gaps::default();
        let recorded: Vec<_> = (1..=30).filter_map(|minute| gaps.grow(gap(minute * MINUTE))).collect();
        let ends: Vec<_> = recorded.iter().map(|gap| gap.to / MINUTE).collect();
        assert_eq!(ends, [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 17, 20, 23, 26, 30]);
        gaps.grow(gap(31 * MINUTE));
        let last = gaps.fill("AAPL");
        assert_eq!((last[0].to, last[1].is_filled(), last[1].from), (31 * MINUTE, true, 0));
        assert!(gaps.fill("AAPL").is_empty());
        assert_eq!(gaps.give_up(gap(MINUTE)), gap(MINUTE));
    }

    #[test]
    fn nothing_is_missing_of_a_closed_market() {
        let at = |text: &str| parse(text).unwrap();
        let (friday, saturday) = (at("2026-11-21T01:30:00Z"), at("2026-11-21T15:00:00Z"));
        assert!(!trades("AAPL", friday, saturday));
        assert!(trades("X:BTC-USD", friday, saturday));
        assert!(!trades("C:EUR-USD", friday, saturday));
        assert!(trades("AAPL", friday - HOUR, saturday));
        assert!(trades("AAPL", saturday, at("2026-11-23T09:01:00Z")));
        assert!(!trades("AAPL", at("2026-11-20T15:00:00Z"), at("2026-11-20T15:00:00Z")));
    }
}
