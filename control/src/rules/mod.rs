//! Alert rules: when a signal of a symbol is worth a word, as data in the log.
//!
//! A rule names a column of the job `signals`, a threshold, and how far the
//! signal must come back (its hysteresis) before the rule may speak again.

mod change;
mod check;
mod kept;
mod typed;

use model::alert::Comparison;
use serde::{Deserialize, Serialize};

use crate::kept::List;

pub use change::{BadChange, Change, NoSuchRule, summary};
pub use check::{
    BadPlace, BadRule, BadRules, MAX_MEANING, MAX_NAME, MAX_RULES, MAX_SYMBOLS, check_signals, checked,
};
pub use kept::{Conflict, Past, PutError, follow, put, read};
pub use typed::parse;

/// The rules that a folder starts with.
const AT_FIRST: &str = include_str!("defaults.json");

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What it is called; stands once.
    pub name: String,
    /// A column of the job `signals`.
    pub signal: String,
    /// On which side of the threshold an episode is.
    pub comparison: Comparison,
    /// The threshold, in the signal's unit.
    pub threshold: f64,
    /// How far the signal must come back over the threshold before an episode
    /// closes; of a crossing, how far it must go beyond before that counts.
    #[serde(default)]
    pub hysteresis: f64,
    /// Whether it is applied.
    #[serde(default = "on")]
    pub enabled: bool,
    /// The symbols that it is applied to; empty is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<String>,
    /// What an alert of it means, in a sentence that ends every explanation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

fn on() -> bool {
    true
}

/// All rules at one version.
pub type Rules = List<Rule>;

/// The one key of the topic.
pub const KEY: &str = "rules";

impl Rule {
    /// Whether it is applied to a symbol.
    pub fn is_for(&self, symbol: &str) -> bool {
        self.enabled && (self.symbols.is_empty() || self.symbols.iter().any(|named| named == symbol))
    }
}

/// The rule as a person reads it: `big-jump` (jump_share above 0.5).
impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({} {} {})", self.name, self.signal, self.comparison, self.threshold)
    }
}

/// The rules that a folder starts with.
pub fn defaults() -> Vec<Rule> {
    // Read by a test: the file is part of the program.
    parse(AT_FIRST.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_a_folder_starts_with_are_good_and_each_says_what_it_means() {
        let rules = parse(AT_FIRST.as_bytes()).unwrap();
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
}
