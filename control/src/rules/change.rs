//! Changes of the alert rules, and what they come to in words.

use super::check::{BadRules, checked};
use super::{Rule, Rules};

/// What is to be different.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// One more rule, at the end.
    Add(Rule),
    /// Without the rule of this name.
    Remove(String),
    /// The rule of this name, switched on or off.
    Enable(String, bool),
    /// Another threshold or hysteresis for the rule of this name.
    Adjust {
        /// The rule.
        name: String,
        /// The threshold, unless it stays.
        threshold: Option<f64>,
        /// The hysteresis, unless it stays.
        hysteresis: Option<f64>,
    },
    /// Other rules.
    Set(Vec<Rule>),
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadChange {
    /// The list would be a bad one.
    #[error(transparent)]
    Rules(#[from] BadRules),
    /// There is no such rule.
    #[error(transparent)]
    NoSuchRule(#[from] NoSuchRule),
}

/// No rule has the name that was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule is called `{name}`; there are: {known}")]
pub struct NoSuchRule {
    name: String,
    known: String,
}

impl Rules {
    /// The rules after a change, one version on.
    ///
    /// # Errors
    /// When the list would be a bad one, or there is no rule to change.
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
            .ok_or_else(|| NoSuchRule { name: crate::kept::short(name), known: known() })
    }
}

/// What is different in `new`, for a person: `added jump; switched rsi-high off`.
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
    use crate::rules::BadRule;
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
