//! The rules for a valid list of alert rules, and its JSON form.

use std::collections::HashMap;

use model::alert::Comparison;
use model::symbol::{self, BadSymbol};
use serde::Deserialize;

use super::{Rule, on};
use crate::kept::{short, typed_values};

/// The largest number of rules.
pub const MAX_RULES: usize = 200;
/// The largest length of the name of a rule or a signal, in characters.
pub const MAX_NAME: usize = 64;
/// The largest number of symbols of one rule.
pub const MAX_SYMBOLS: usize = 500;
/// The largest length of a meaning, in characters.
pub const MAX_MEANING: usize = 300;

/// Why a rule is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadRule {
    /// The name is invalid.
    #[error(
        "`name` is `{0}`: it takes 1 to {MAX_NAME} small letters, digits and hyphens, as volatility-spike"
    )]
    Name(String),
    /// An earlier rule, at this position, has the same name.
    #[error("`name` repeats that of rule {0}: choose another, or change that one")]
    Repeats(usize),
    /// The signal cannot be the name of a column.
    #[error("`signal` is `{0}`: it takes the name of a column of the job `signals`, as jump_share")]
    Signal(String),
    /// The job `signals` has no such column.
    #[error("`signal` is `{asked}`, which the job `signals` does not have: take one of {known}")]
    NoSuchSignal {
        /// The requested signal.
        asked: String,
        /// The existing signals.
        known: String,
    },
    /// The threshold is not finite.
    #[error("`threshold` is {0}: it takes a finite number, in the signal's unit")]
    Threshold(f64),
    /// The hysteresis is negative or not finite.
    #[error(
        "`hysteresis` is {0}: it takes a finite number, zero or above; with zero an episode closes at the threshold"
    )]
    Hysteresis(f64),
    /// A symbol is invalid.
    #[error("`symbols` has an invalid one: {0}")]
    Symbol(#[from] BadSymbol),
    /// It has too many symbols.
    #[error("`symbols` names {0}, at most {MAX_SYMBOLS} are taken; none stands for all")]
    TooManySymbols(usize),
    /// The meaning is too long.
    #[error("`meaning` has {0} characters, at most {MAX_MEANING} are taken: say it in a sentence")]
    MeaningTooLong(usize),
    /// The meaning has a control character, such as a line break or a tab.
    #[error("`meaning` holds the control character {0:?}: leave it out")]
    ControlCharacter(char),
    /// It is not a JSON object with the fields of a rule.
    #[error(
        "it is not a valid rule: {0}. A rule is written {{\"name\": \"jump\", \"signal\": \"jump_share\", \"comparison\": \"above\", \"threshold\": 0.5}}, and may have `hysteresis`, `enabled`, `symbols` and `meaning`"
    )]
    Malformed(String),
}

impl BadRule {
    /// The invalid field, if the error is about one field.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            BadRule::Name(_) | BadRule::Repeats(_) => Some("name"),
            BadRule::Signal(_) | BadRule::NoSuchSignal { .. } => Some("signal"),
            BadRule::Threshold(_) => Some("threshold"),
            BadRule::Hysteresis(_) => Some("hysteresis"),
            BadRule::Symbol(_) | BadRule::TooManySymbols(_) => Some("symbols"),
            BadRule::MeaningTooLong(_) | BadRule::ControlCharacter(_) => Some("meaning"),
            BadRule::Malformed(_) => None,
        }
    }
}

/// An invalid rule with its position in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct BadPlace {
    /// The position, counted from 1.
    pub place: usize,
    /// The name of the rule, shortened for display.
    pub rule: String,
    /// Why it is invalid.
    pub problem: BadRule,
}

/// Why a list is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadRules {
    /// Some rules are invalid.
    #[error("{}", name_places(.0))]
    Rules(Vec<BadPlace>),
    /// It has too many rules.
    #[error("the list has {0} rules, at most {MAX_RULES} are taken; a rule without `symbols` is for all")]
    TooMany(usize),
    /// It is not JSON, or has another structure.
    #[error(
        "the list cannot be read: {0}. It is written [{{\"name\": \"jump\", \"signal\": \"jump_share\", \"comparison\": \"above\", \"threshold\": 0.5}}]"
    )]
    Malformed(String),
}

fn name_places(places: &[BadPlace]) -> String {
    let lines: Vec<_> =
        places.iter().map(|bad| format!("rule {} ({}): {}", bad.place, bad.rule, bad.problem)).collect();
    lines.join("\n")
}

impl Rule {
    /// The rule with leading and trailing spaces removed.
    #[must_use]
    pub fn trimmed(self) -> Rule {
        let trim = |text: String| text.trim_matches(' ').to_owned();
        Rule {
            name: trim(self.name),
            signal: trim(self.signal),
            symbols: self.symbols.into_iter().map(trim).collect(),
            meaning: trim(self.meaning),
            ..self
        }
    }

    /// Checks the fields of a rule from outside.
    ///
    /// # Errors
    /// The first rule of syntax that it violates.
    pub fn check(&self) -> Result<(), BadRule> {
        if !is_name(&self.name, '-') {
            return Err(BadRule::Name(short(&self.name)));
        }
        if !is_name(&self.signal, '_') {
            return Err(BadRule::Signal(short(&self.signal)));
        }
        if !self.threshold.is_finite() {
            return Err(BadRule::Threshold(self.threshold));
        }
        if !(self.hysteresis.is_finite() && self.hysteresis >= 0.0) {
            return Err(BadRule::Hysteresis(self.hysteresis));
        }
        if self.symbols.len() > MAX_SYMBOLS {
            return Err(BadRule::TooManySymbols(self.symbols.len()));
        }
        for symbol in &self.symbols {
            symbol::check(symbol)?;
        }
        match self.meaning.chars().count() {
            length if length > MAX_MEANING => return Err(BadRule::MeaningTooLong(length)),
            _ => {}
        }
        match self.meaning.chars().find(|c| c.is_control()) {
            Some(character) => Err(BadRule::ControlCharacter(character)),
            None => Ok(()),
        }
    }
}

/// Whether a name has only lower-case letters, digits and `joint`, and begins with a letter.
fn is_name(text: &str, joint: char) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint;
    text.len() <= MAX_NAME && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(allowed)
}

/// Trims and checks a whole list from outside.
///
/// # Errors
/// If it is too long, or with every invalid rule.
pub fn checked(rules: Vec<Rule>) -> Result<Vec<Rule>, BadRules> {
    if rules.len() > MAX_RULES {
        return Err(BadRules::TooMany(rules.len()));
    }
    let rules: Vec<_> = rules.into_iter().map(Rule::trimmed).collect();
    let mut first: HashMap<&str, usize> = HashMap::new();
    name_bad(&rules, |place, rule| {
        rule.check()?;
        match *first.entry(&rule.name).or_insert(place) {
            earlier if earlier != place => Err(BadRule::Repeats(earlier)),
            _ => Ok(()),
        }
    })?;
    Ok(rules)
}

/// Checks that the signals of all rules are among the columns `known` of the job `signals`.
/// With no known column nothing is checked.
///
/// # Errors
/// Every rule with an unknown signal, and the known signals.
pub fn check_signals(rules: &[Rule], known: &[String]) -> Result<(), BadRules> {
    name_bad(rules, |_, rule| {
        if known.is_empty() || known.contains(&rule.signal) {
            return Ok(());
        }
        Err(BadRule::NoSuchSignal { asked: short(&rule.signal), known: known.join(", ") })
    })
}

fn name_bad<'a>(
    rules: &'a [Rule],
    mut check: impl FnMut(usize, &'a Rule) -> Result<(), BadRule>,
) -> Result<(), BadRules> {
    let mut bad = Vec::new();
    for (place, rule) in (1..).zip(rules) {
        if let Err(problem) = check(place, rule) {
            bad.push(BadPlace { place, rule: short(&rule.name), problem });
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(BadRules::Rules(bad)) }
}

/// The fields of a rule from outside. Unknown fields are refused, so that a misspelt one is
/// reported.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedRule {
    name: String,
    signal: String,
    comparison: Comparison,
    threshold: f64,
    #[serde(default)]
    hysteresis: f64,
    #[serde(default = "on")]
    enabled: bool,
    #[serde(default)]
    symbols: Vec<String>,
    #[serde(default)]
    meaning: String,
}

impl From<TypedRule> for Rule {
    fn from(typed: TypedRule) -> Rule {
        let TypedRule { name, signal, comparison, threshold, hysteresis, enabled, symbols, meaning } = typed;
        Rule { name, signal, comparison, threshold, hysteresis, enabled, symbols, meaning }
    }
}

/// Parses and checks a list: a JSON array of rules, or an object with this array in `entries`,
/// as the list command prints it.
///
/// # Errors
/// As [`checked`], and if it is not JSON or has another structure.
pub fn parse(json: &[u8]) -> Result<Vec<Rule>, BadRules> {
    let values = typed_values(json).map_err(BadRules::Malformed)?;
    if values.len() > MAX_RULES {
        return Err(BadRules::TooMany(values.len()));
    }
    let (mut rules, mut bad) = (Vec::with_capacity(values.len()), Vec::new());
    for (place, value) in (1..).zip(values) {
        match TypedRule::deserialize(&value) {
            Ok(typed) => rules.push(typed.into()),
            Err(error) => {
                let problem = BadRule::Malformed(error.to_string());
                bad.push(BadPlace { place, rule: short(&value.to_string()), problem });
            }
        }
    }
    if bad.is_empty() { checked(rules) } else { Err(BadRules::Rules(bad)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::alert::Comparison;

    fn good() -> Rule {
        Rule {
            name: "jump".into(),
            signal: "jump_share".into(),
            comparison: Comparison::Above,
            threshold: 0.5,
            hysteresis: 0.1,
            enabled: true,
            symbols: vec!["AAPL".into(), "BRK.B".into()],
            meaning: "It jumps.".into(),
        }
    }

    #[test]
    fn bad_rules_are_refused_with_the_field_and_the_way_on() {
        assert_eq!(good().check(), Ok(()));
        for (bad, field, said) in [
            (Rule { name: String::new(), ..good() }, "name", "volatility-spike"),
            (Rule { name: "Big Jump".into(), ..good() }, "name", "small letters"),
            (Rule { name: "a".repeat(65), ..good() }, "name", "1 to 64"),
            (Rule { signal: "jump share".into(), ..good() }, "signal", "as jump_share"),
            (Rule { threshold: f64::NAN, ..good() }, "threshold", "finite number"),
            (Rule { hysteresis: -0.1, ..good() }, "hysteresis", "is -0.1"),
            (Rule { hysteresis: f64::INFINITY, ..good() }, "hysteresis", "zero or above"),
            (Rule { symbols: vec!["~clock0".into()], ..good() }, "symbols", "heartbeats"),
            (Rule { symbols: vec!["A".into(); 501], ..good() }, "symbols", "names 501"),
            (Rule { meaning: "x".repeat(301), ..good() }, "meaning", "has 301 characters"),
            (Rule { meaning: "a\nb".into(), ..good() }, "meaning", "'\\n'"),
        ] {
            let error = bad.check().unwrap_err();
            assert_eq!(error.field(), Some(field), "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn every_bad_rule_of_a_list_is_named_by_its_place() {
        let list = vec![
            good(),
            Rule { threshold: f64::INFINITY, ..good() },
            Rule { name: " jump ".into(), ..good() },
        ];
        let error = checked(list).unwrap_err().to_string();
        assert!(error.contains("rule 2 (jump): `threshold` is inf"), "{error}");
        assert!(error.contains("rule 3 (jump): `name` repeats that of rule 1"), "{error}");
        let many = vec![good(); MAX_RULES + 1];
        assert_eq!(checked(many), Err(BadRules::TooMany(MAX_RULES + 1)));
    }

    #[test]
    fn a_signal_that_the_job_does_not_have_is_answered_with_those_that_it_has() {
        let known = ["rsi".to_owned(), "articles".to_owned()];
        let error = check_signals(&[good()], &known).unwrap_err().to_string();
        assert!(error.contains("`jump_share`") && error.contains("take one of rsi, articles"), "{error}");
        assert_eq!(check_signals(&[good()], &["jump_share".to_owned()]), Ok(()));
        assert_eq!(check_signals(&[good()], &[]), Ok(()));
    }

    #[test]
    fn a_typed_list_is_read_and_its_mistakes_are_named() {
        let row = r#"{"name": "jump", "signal": "jump_share", "comparison": "above", "threshold": 1}"#;
        let rules = parse(format!("[{row}]").as_bytes()).unwrap();
        assert_eq!((rules[0].threshold, rules[0].hysteresis, rules[0].enabled), (1.0, 0.0, true));
        assert_eq!(parse(format!(r#"{{"version": 3, "entries": [{row}]}}"#).as_bytes()), Ok(rules));
        for (typed, said) in [
            ("jump", "the list cannot be read"),
            ("7", "neither an array nor an object"),
            ("{}", "no array `entries`"),
            (&format!("[{row}, 7]"), "rule 2 (7): it is not a valid rule"),
            (&row.replace("above", "over").replace('{', "[{").replace('}', "}]"), "`above`"),
            (&format!("[{}]", row.replace("threshold", "treshold")), "unknown field `treshold`"),
            (&format!("[{}]", row.replace("\"threshold\": 1", "\"threshold\": \"1\"")), "invalid type"),
        ] {
            let error = parse(typed.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
