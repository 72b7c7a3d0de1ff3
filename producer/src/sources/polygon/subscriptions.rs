//! What is subscribed to: the difference that a change of the watchlist makes,
//! and which requests have been acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use control::watchlist::{EVERY_SYMBOL, Watchlist};
use model::time::{Millis, SECOND};
use serde_json::json;

/// Pairs in one request; longer lists have had connections closed.
const CHUNK: usize = 200;
/// After this long, a request that was not acknowledged is told.
const PATIENCE: Millis = 30 * SECOND;

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Pairs asked for.
    held: BTreeSet<String>,
    /// Of those, the ones not acknowledged, with the time of the request.
    pending: BTreeMap<String, Millis>,
    /// How many have been acknowledged …
    acknowledged: usize,
    /// … and how many were said not to be in the plan, though not which.
    refused: usize,
}

/// The pairs that a watchlist wants.
pub(super) fn wanted(list: &Watchlist) -> BTreeSet<String> {
    let symbols = list.symbols();
    if symbols.contains(&EVERY_SYMBOL) {
        return BTreeSet::from([pair(EVERY_SYMBOL)]);
    }
    symbols.into_iter().map(pair).collect()
}

fn pair(symbol: &str) -> String {
    format!("AM.{symbol}")
}

impl Subscriptions {
    /// The requests that lead from what is held to `wanted`; first what is new,
    /// so that nothing is missed when a wildcard comes or goes.
    pub(super) fn change_to(&mut self, wanted: BTreeSet<String>, now: Millis) -> Vec<String> {
        let new: Vec<_> = wanted.difference(&self.held).cloned().collect();
        let old: Vec<_> = self.held.difference(&wanted).cloned().collect();
        for pair in &old {
            self.pending.remove(pair);
        }
        self.pending.extend(new.iter().map(|pair| (pair.clone(), now)));
        self.held = wanted;
        let request = |action: &str, pairs: &[String]| json!({"action": action, "params": pairs.join(",")});
        let subscribe = new.chunks(CHUNK).map(|pairs| request("subscribe", pairs));
        let unsubscribe = old.chunks(CHUNK).map(|pairs| request("unsubscribe", pairs));
        subscribe.chain(unsubscribe).map(|request| request.to_string()).collect()
    }

    /// The feed has said that it sends `pair`.
    pub(super) fn acknowledge(&mut self, pair: &str) {
        if self.pending.remove(pair).is_some() {
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

    /// The pairs whose request has waited too long; each is told once.
    pub(super) fn overdue(&mut self, now: Millis) -> Vec<String> {
        let overdue: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, asked)| **asked + PATIENCE <= now)
            .map(|(pair, _)| pair.clone())
            .collect();
        for pair in &overdue {
            self.pending.remove(pair);
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
        let first = held.change_to(wanted(&list(&["MSFT", "AAPL"])), 0);
        assert_eq!(first, [r#"{"action":"subscribe","params":"AM.AAPL,AM.MSFT"}"#]);
        let second = held.change_to(wanted(&list(&["AAPL", "NVDA"])), 0);
        assert_eq!(
            second,
            [
                r#"{"action":"subscribe","params":"AM.NVDA"}"#,
                r#"{"action":"unsubscribe","params":"AM.MSFT"}"#
            ]
        );
        assert!(held.change_to(wanted(&list(&["NVDA", "AAPL", "AAPL"])), 0).is_empty());
        let all = held.change_to(wanted(&list(&["NVDA", "*"])), 0);
        assert_eq!(all[0], r#"{"action":"subscribe","params":"AM.*"}"#);
        assert_eq!(all[1], r#"{"action":"unsubscribe","params":"AM.AAPL,AM.NVDA"}"#);
    }

    #[test]
    fn long_lists_are_asked_for_in_chunks() {
        let symbols: Vec<String> = (0..450).map(|i| format!("S{i:03}")).collect();
        let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let requests = Subscriptions::default().change_to(wanted(&list(&symbols)), 0);
        assert_eq!(
            requests.iter().map(|request| request.matches("AM.").count()).collect::<Vec<_>>(),
            [200, 200, 50]
        );
    }

    #[test]
    fn what_is_not_acknowledged_in_time_is_told_once() {
        let mut held = Subscriptions::default();
        held.change_to(wanted(&list(&["AAPL", "MSFT"])), 1_000);
        held.acknowledge("AM.AAPL");
        held.acknowledge("AM.AAPL");
        assert!(!held.is_settled());
        assert_eq!(held.deadline(), Some(31_000));
        assert!(held.overdue(30_999).is_empty());
        assert_eq!(held.overdue(31_000), ["AM.MSFT"]);
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
        some.acknowledge("AM.MSFT");
        some.overdue(30_000);
        assert!(!some.are_refused());
        let mut silent = Subscriptions::default();
        silent.change_to(wanted(&list(&["AAPL", "MSFT"])), 0);
        silent.refuse();
        silent.overdue(30_000);
        assert!(silent.are_refused());
    }
}
