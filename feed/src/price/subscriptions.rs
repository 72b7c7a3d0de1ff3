//! What is subscribed to: the difference that a change of the watchlist makes,
//! and which requests have been acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use control::watchlist::{EVERY_SYMBOL, Watchlist};
use model::time::{Millis, SECOND};

/// After this long, a request that was not acknowledged is told.
const PATIENCE: Millis = 30 * SECOND;

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Symbols asked for.
    held: BTreeSet<String>,
    /// Of those, the ones not acknowledged, with the time of the request.
    pending: BTreeMap<String, Millis>,
    /// How many have been acknowledged …
    acknowledged: usize,
    /// … and how many were said not to be in the plan, though not which.
    refused: usize,
}

/// The symbols that a watchlist wants; of one with a wildcard, that alone.
pub(super) fn wanted(list: &Watchlist) -> BTreeSet<String> {
    let symbols = list.symbols();
    if symbols.contains(&EVERY_SYMBOL) {
        return BTreeSet::from([EVERY_SYMBOL.to_owned()]);
    }
    symbols.into_iter().map(str::to_owned).collect()
}

impl Subscriptions {
    /// Holds `wanted` from now on. Returns what is to be subscribed to, and what no more.
    pub(super) fn change_to(&mut self, wanted: BTreeSet<String>, now: Millis) -> (Vec<String>, Vec<String>) {
        let new: Vec<_> = wanted.difference(&self.held).cloned().collect();
        let old: Vec<_> = self.held.difference(&wanted).cloned().collect();
        for symbol in &old {
            self.pending.remove(symbol);
        }
        self.pending.extend(new.iter().map(|symbol| (symbol.clone(), now)));
        self.held = wanted;
        (new, old)
    }

    /// The feed has said that it sends `symbol`.
    pub(super) fn acknowledge(&mut self, symbol: &str) {
        if self.pending.remove(symbol).is_some() {
            self.acknowledged += 1;
        }
    }

    /// Whether no request is open.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// The feed has said that something asked for is not in the plan.
    pub(super) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// How many were said not to be in the plan.
    pub(super) fn refused(&self) -> usize {
        self.refused
    }

    /// Whether nothing that is held is in the plan: as many were refused, or
    /// some were, and none of the others has been acknowledged in time.
    pub(super) fn are_refused(&self) -> bool {
        let all = self.refused >= self.held.len() || self.is_settled();
        self.refused > 0 && self.acknowledged == 0 && all
    }

    /// Whether anything is subscribed to.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When the next open request will have waited too long.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.pending.values().min().map(|asked| asked + PATIENCE)
    }

    /// The symbols whose request has waited too long; each is told once.
    pub(super) fn overdue(&mut self, now: Millis) -> Vec<String> {
        let overdue: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, asked)| **asked + PATIENCE <= now)
            .map(|(symbol, _)| symbol.clone())
            .collect();
        for symbol in &overdue {
            self.pending.remove(symbol);
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::watchlist::Entry;

    fn list(symbols: &[&str]) -> Watchlist {
        let entry =
            |symbol: &&str| Entry { symbol: Some((*symbol).into()), search_term: None, sections: vec![] };
        Watchlist { version: 1, entries: symbols.iter().map(entry).collect() }
    }

    #[test]
    fn a_change_asks_only_for_the_difference() {
        let mut held = Subscriptions::default();
        let mut change = |symbols: &[&str]| held.change_to(wanted(&list(symbols)), 0);
        let of = |symbols: &[&str]| symbols.iter().map(|symbol| (*symbol).to_owned()).collect::<Vec<_>>();
        assert_eq!(change(&["MSFT", "AAPL"]), (of(&["AAPL", "MSFT"]), of(&[])));
        assert_eq!(change(&["AAPL", "NVDA"]), (of(&["NVDA"]), of(&["MSFT"])));
        assert_eq!(change(&["NVDA", "AAPL", "AAPL"]), (of(&[]), of(&[])));
        assert_eq!(change(&["NVDA", "*"]), (of(&["*"]), of(&["AAPL", "NVDA"])));
    }

    #[test]
    fn what_is_not_acknowledged_in_time_is_told_once() {
        let mut held = Subscriptions::default();
        held.change_to(wanted(&list(&["AAPL", "MSFT"])), 1_000);
        held.acknowledge("AAPL");
        held.acknowledge("AAPL");
        assert!(!held.is_settled());
        assert_eq!(held.deadline(), Some(31_000));
        assert!(held.overdue(30_999).is_empty());
        assert_eq!(held.overdue(31_000), ["MSFT"]);
        assert!(held.overdue(99_000).is_empty() && held.is_settled());
    }

    #[test]
    fn the_plan_has_nothing_once_everything_is_refused_or_nothing_acknowledged_in_time() {
        let mut all = Subscriptions::default();
        all.change_to(wanted(&list(&["AAPL", "MSFT"])), 0);
        all.refuse();
        assert!(!all.are_refused());
        all.refuse();
        assert!(all.are_refused());
        let mut some = Subscriptions::default();
        some.change_to(wanted(&list(&["AAPL", "MSFT"])), 0);
        some.refuse();
        some.acknowledge("MSFT");
        some.overdue(30_000);
        assert!(!some.are_refused());
        let mut silent = Subscriptions::default();
        silent.change_to(wanted(&list(&["AAPL", "MSFT"])), 0);
        silent.refuse();
        silent.overdue(30_000);
        assert!(silent.are_refused());
    }
}
