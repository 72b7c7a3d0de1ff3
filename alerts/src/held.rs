//! What is held of one symbol: how far its windows have come, and where each
//! rule stands with it.

use std::collections::BTreeMap;

use control::rules::{Rule, Rules};
use model::Alert;
use model::time::Millis;
use serde::{Deserialize, Serialize};

use crate::episode::{Episode, Standing, Turn};
use crate::explain;
use crate::row::Row;

/// One symbol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The end of the last window taken.
    pub(crate) until: Millis,
    /// By rule; rules that have nothing to remember are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, Standing>,
    /// Episodes whose rule has gone: the symbol's next window closes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ending: Vec<Ending>,
}

/// An open episode of a rule that is no more what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ending {
    episode: Episode,
    /// The rule as it was.
    rule: Rule,
    reason: Reason,
}

/// Why a rule closes an episode whatever the signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    Removed,
    Off,
    Changed,
}

impl Held {
    pub(crate) fn new() -> Held {
        Held { until: Millis::MIN, rules: BTreeMap::new(), ending: Vec::new() }
    }

    /// Takes the symbol's next window under `rules`; tells what opens and closes.
    pub(crate) fn take(&mut self, rules: &[Rule], row: &Row) -> Vec<Alert> {
        self.until = row.window_end;
        let ended = std::mem::take(&mut self.ending);
        let mut alerts: Vec<_> =
            ended.into_iter().map(|end| end_of(&end.rule, row, end.episode, end.reason)).collect();
        for rule in rules.iter().filter(|rule| rule.is_for(&row.symbol)) {
            let Some(value) = row.signal(&rule.signal) else { continue };
            let mut standing = self.rules.remove(&rule.name).unwrap_or_default();
            if let Some(turn) = standing.step(rule, value, row.window_end) {
                alerts.push(told(rule, row, value, turn));
            }
            if !standing.is_empty() {
                self.rules.insert(rule.name.clone(), standing);
            }
        }
        alerts
    }

    /// The rules change: what was held under one that is no more what it was is given up.
    pub(crate) fn change(&mut self, symbol: &str, old: &Rules, new: &Rules) {
        for rule in &old.entries {
            let now = new.entries.iter().find(|now| now.name == rule.name);
            let Some(standing) = self.rules.get_mut(&rule.name) else { continue };
            let ended = match now {
                None => Some(Reason::Removed),
                Some(now) if !now.is_for(symbol) => Some(Reason::Off),
                Some(now) if (&now.signal, now.comparison) != (&rule.signal, rule.comparison) => {
                    Some(Reason::Changed)
                }
                Some(_) => None,
            };
            let moved =
                now.is_none_or(|now| (now.threshold, now.hysteresis) != (rule.threshold, rule.hysteresis));
            if ended.is_some() || moved {
                standing.side = None;
            }
            if let Some(reason) = ended
                && let Some(episode) = standing.open.take()
            {
                self.ending.push(Ending { episode, rule: rule.clone(), reason });
            }
        }
        self.rules.retain(|_, standing| !standing.is_empty());
    }

    /// How many episodes are open.
    pub(crate) fn open(&self) -> usize {
        self.ending.len() + self.rules.values().filter(|standing| standing.open.is_some()).count()
    }
}

fn told(rule: &Rule, row: &Row, value: f64, turn: Turn) -> Alert {
    match turn {
        Turn::Opens(episode) => {
            let explanation = explain::opened(rule, row, &episode);
            alert(rule, row, episode, None, explanation)
        }
        Turn::Closes(episode) => {
            let explanation = explain::closed(rule, row, &episode, value);
            alert(rule, row, episode, Some(row.window_end), explanation)
        }
        Turn::Crosses(episode, side) => {
            let explanation = explain::crossed(rule, row, &episode, side);
            alert(rule, row, episode, Some(row.window_end), explanation)
        }
    }
}

fn end_of(rule: &Rule, row: &Row, episode: Episode, reason: Reason) -> Alert {
    let explanation = explain::ended(rule, row, &episode, reason);
    alert(rule, row, episode, Some(row.window_end), explanation)
}

fn alert(rule: &Rule, row: &Row, episode: Episode, closed: Option<Millis>, explanation: String) -> Alert {
    let Episode { opened, value, extreme, threshold } = episode;
    Alert {
        symbol: row.symbol.clone(),
        rule: rule.name.clone(),
        episode: Alert::episode_of(&rule.name, &row.symbol, opened),
        opened,
        closed,
        signal: rule.signal.clone(),
        comparison: rule.comparison,
        value,
        extreme,
        threshold,
        explanation,
    }
}
