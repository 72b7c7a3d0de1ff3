//! Alert rules: the conditions on the signals of a symbol that raise an alert, stored in the
//! log.
//!
//! A rule names a column of the job `signals`, a threshold, and a hysteresis: how far the
//! signal must return before the rule can raise the next alert. The rules are a versioned list
//! (see [`kept`]).

mod check;

use log::{Log, LogError, SharedLog};
use model::alert::Comparison;
use model::topic::{ALERT_RULES, ALERT_RULES_HISTORY, Topic};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::kept::{self, Kept, List};

pub use check::{
    BadPlace, BadRule, BadRules, MAX_MEANING, MAX_NAME, MAX_RULES, MAX_SYMBOLS, check_signals, checked, parse,
};

/// The rules of a new data folder.
const DEFAULTS: &str = include_str!("defaults.json");

/// An alert rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The name, which is unique in the list.
    pub name: String,
    /// A column of the job `signals`.
    pub signal: String,
    /// The side of the threshold on which an episode is open.
    pub comparison: Comparison,
    /// The threshold, in the unit of the signal.
    pub threshold: f64,
    /// How far the signal must return over the threshold before an episode closes, in the unit
    /// of the signal; for a crossing, how far it must go beyond the threshold to count.
    #[serde(default)]
    pub hysteresis: f64,
    /// Whether the rule is evaluated.
    #[serde(default = "on")]
    pub enabled: bool,
    /// The symbols that it is evaluated for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
    /// What its alerts mean: the last sentence of every explanation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

fn on() -> bool {
    true
}

/// The rules at one version.
pub type Rules = List<Rule>;

/// The single key of the topic.
pub const KEY: &str = "rules";

impl Rule {
    /// Whether the rule is evaluated for a symbol.
    pub fn is_for(&self, symbol: &str) -> bool {
        self.enabled && (self.symbols.is_empty() || self.symbols.iter().any(|named| named == symbol))
    }
}

/// Formats the rule for a person: `big-jump` (jump_share above 0.5).
impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({} {} {})", self.name, self.signal, self.comparison, self.threshold)
    }
}

/// The rules of a new data folder.
pub fn defaults() -> Vec<Rule> {
    // A test parses the file, which is compiled into the program.
    parse(DEFAULTS.as_bytes()).unwrap_or_default()
}

/// One version of the rules in `alert-rules-history`.
pub type Past = kept::Past<Rule>;
/// The rules were changed since the version that the change was made from.
pub type Conflict = kept::Conflict<Rule>;
/// Why the rules were not written.
pub type PutError = kept::PutError<Rule>;

impl Kept for Rule {
    const TOPIC: Topic = ALERT_RULES;
    const HISTORY: Topic = ALERT_RULES_HISTORY;
    const KEY: &'static str = KEY;
    const NAME: &'static str = "the list of alert rules";
    type Bad = BadRules;

    fn defaults() -> Vec<Rule> {
        defaults()
    }

    fn parse(json: &[u8]) -> Result<Vec<Rule>, BadRules> {
        parse(json)
    }

    fn checked(rules: Vec<Rule>) -> Result<Vec<Rule>, BadRules> {
        checked(rules)
    }

    fn summary(old: &[Rule], new: &[Rule]) -> String {
        summary(old, new)
    }
}

/// The current rules; the default ones at version 0 if they were never changed.
///
/// # Errors
/// If the log cannot be read.
pub async fn read(log: &dyn Log) -> Result<Rules, LogError> {
    kept::read(log).await
}

/// Replaces the rules of version `read`; see [`kept::put`].
///
/// # Errors
/// If the rules are invalid or were changed since, or if the log fails.
pub async fn put(log: &dyn Log, read: u64, rules: Vec<Rule>, by: &str) -> Result<Rules, PutError> {
    kept::put(log, read, rules, by).await
}

/// Follows the current rules; see [`kept::follow`].
///
/// # Errors
/// If the log cannot be read at the start.
pub async fn follow(log: SharedLog) -> Result<watch::Receiver<Rules>, LogError> {
    kept::follow(log).await
}

/// A change of the rules.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Adds a rule at the end.
    Add(Rule),
    /// Removes the rule with this name.
    Remove(String),
    /// Enables or disables the rule with this name.
    Enable(String, bool),
    /// Changes the threshold or the hysteresis of the rule with this name.
    Adjust {
        /// The name of the rule.
        name: String,
        /// The new threshold, if it changes.
        threshold: Option<f64>,
        /// The new hysteresis, if it changes.
        hysteresis: Option<f64>,
    },
    /// Replaces all rules.
    Set(Vec<Rule>),
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadChange {
    /// The resulting list would be invalid.
    #[error(transparent)]
    Rules(#[from] BadRules),
    /// No rule has this name.
    #[error(transparent)]
    NoSuchRule(#[from] NoSuchRule),
}

/// No rule has the given name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule is called `{name}`; there are: {known}")]
pub struct NoSuchRule {
    name: String,
    known: String,
}

impl Rules {
    /// The rules after a change, with the next version.
    ///
    /// # Errors
    /// If the resulting list is invalid, or no rule has the given name.
    pub fn apply(&self, change: Change) -> Result<Rules, BadChange> {
        let mut rules = self.entries.clone();
        match change {
            Change::Set(others) => rules = others,
            Change::Add(rule) => rules.push(rule),
            Change::Remove(name) => drop(rules.remove(self.place(&name)?)),
            Change::Enable(name, enabled) => rules[self.place(&name)?].enabled = enabled,
            Change::Adjust { name, threshold, hysteresis } => {
                let rule = &mut rules[self.place(&name)?];
                rule.threshold = threshold.unwrap_or(rule.threshold);
                rule.hysteresis = hysteresis.unwrap_or(rule.hysteresis);
            }
        }
        Ok(Rules { version: self.version.saturating_add(1), entries: checked(rules)? })
    }

    fn place(&self, name: &str) -> Result<usize, NoSuchRule> {
        let known = || match self.entries.is_empty() {
            true => "none".to_owned(),
            false => self.entries.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        self.entries
            .iter()
            .position(|rule| rule.name == name)
            .ok_or_else(|| NoSuchRule { name: kept::short(name), known: known() })
    }
}

/// Summarizes the differences for a person: `added jump; switched rsi-high off`.
pub fn summary(old: &[Rule], new: &[Rule]) -> String {
    let find = |rules: &[Rule], wanted: &Rule| rules.iter().find(|rule| rule.name == wanted.name).cloned();
    let mut parts: Vec<String> =
        new.iter().filter(|rule| find(old, rule).is_none()).map(|rule| format!("added {rule}")).collect();
    parts.extend(
        old.iter().filter(|rule| find(new, rule).is_none()).map(|rule| format!("removed `{}`", rule.name)),
    );
    for rule in new {
        let Some(before) = find(old, rule).filter(|before| before != rule) else { continue };
        let switched = Rule { enabled: rule.enabled, ..before.clone() };
        parts.push(match switched == *rule {
            true => format!("switched `{}` {}", rule.name, if rule.enabled { "on" } else { "off" }),
            false => format!("changed {before} to {} {} {}", rule.signal, rule.comparison, rule.threshold),
        });
    }
    match (parts.is_empty(), old == new) {
        (false, _) => parts.join("; "),
        (true, true) => "changed nothing".into(),
        (true, false) => "changed the order".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_a_folder_starts_with_are_good_and_each_says_what_it_means() {
        let rules = parse(DEFAULTS.as_bytes()).unwrap();
        assert!(rules.len() >= 4);
        assert!(rules.iter().all(|rule| rule.meaning.ends_with('.')), "{rules:?}");
        assert_eq!(defaults(), rules);
    }

    #[test]
    fn a_rule_is_for_the_symbols_that_it_names_or_for_all_while_it_is_on() {
        let all = defaults().remove(0);
        let some = Rule { symbols: vec!["AAPL".into()], ..all.clone() };
        assert!(all.is_for("AAPL") && some.is_for("AAPL") && !some.is_for("MSFT"));
        assert!(!Rule { enabled: false, ..all }.is_for("AAPL"));
    }

    use Change;
    use log::EmbeddedLog;

    #[tokio::test]
    async fn a_fresh_log_has_the_rules_of_the_start_and_none_once_all_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap();
        let rules = read(&log).await.unwrap();
        assert_eq!((rules.version, &rules.entries), (0, &defaults()));
        let off = rules.apply(Change::Enable(rules.entries[0].name.clone(), false)).unwrap();
        let put_first = put(&log, 0, off.entries.clone(), "test").await.unwrap();
        assert_eq!((put_first.version, &put_first.entries), (1, &off.entries));
        let conflict = put(&log, 0, Vec::new(), "test").await.unwrap_err();
        assert!(conflict.to_string().starts_with("the list of alert rules has been changed"), "{conflict}");
        put(&log, 1, Vec::new(), "test").await.unwrap();
        assert_eq!(read(&log).await.unwrap(), Rules { version: 2, entries: Vec::new() });
    }

    use BadRule;
    use model::alert::Comparison;

    fn rule(name: &str) -> Rule {
        Rule {
            name: name.into(),
            signal: "rsi".into(),
            comparison: Comparison::Above,
            threshold: 70.0,
            hysteresis: 5.0,
            enabled: true,
            symbols: Vec::new(),
            meaning: String::new(),
        }
    }

    fn rules() -> Rules {
        Rules { version: 4, entries: vec![rule("high"), rule("higher")] }
    }

    #[test]
    fn rules_are_added_removed_switched_and_adjusted_by_name() {
        let after = rules().apply(Change::Add(rule("new"))).unwrap();
        assert_eq!((after.version, after.entries.len()), (5, 3));
        let after = rules().apply(Change::Remove("high".into())).unwrap();
        assert_eq!(after.entries, [rule("higher")]);
        let after = rules().apply(Change::Enable("high".into(), false)).unwrap();
        assert!(!after.entries[0].enabled && after.entries[1].enabled);
        let adjust = Change::Adjust { name: "higher".into(), threshold: Some(80.0), hysteresis: None };
        let after = rules().apply(adjust).unwrap();
        assert_eq!((after.entries[1].threshold, after.entries[1].hysteresis), (80.0, 5.0));
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        let error = rules().apply(Change::Remove("hihg".into())).unwrap_err().to_string();
        assert!(error.contains("`hihg`; there are: high, higher"), "{error}");
        let error = rules().apply(Change::Add(rule("high"))).unwrap_err();
        let BadChange::Rules(BadRules::Rules(bad)) = &error else { panic!("{error}") };
        assert_eq!(bad[0].problem, BadRule::Repeats(1));
        let adjust = Change::Adjust { name: "high".into(), threshold: None, hysteresis: Some(-1.0) };
        assert!(rules().apply(adjust).is_err());
    }

    #[test]
    fn a_summary_names_what_is_different() {
        let old = rules().entries;
        let new = vec![Rule { threshold: 75.0, ..rule("high") }, rule("new")];
        assert_eq!(
            summary(&old, &new),
            "added `new` (rsi above 70); removed `higher`; changed `high` (rsi above 70) to rsi above 75"
        );
        let off = vec![Rule { enabled: false, ..rule("high") }, rule("higher")];
        assert_eq!(summary(&old, &off), "switched `high` off");
        assert_eq!(summary(&old, &old), "changed nothing");
        let turned: Vec<_> = old.iter().rev().cloned().collect();
        assert_eq!(summary(&old, &turned), "changed the order");
    }
}
