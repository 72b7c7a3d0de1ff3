//! Alert rules as a person writes them, in JSON.

use model::alert::Comparison;
use serde::Deserialize;

use super::check::{BadPlace, BadRule, BadRules, MAX_RULES, checked};
use super::{Rule, on};
use crate::kept::{short, typed_values};

/// The fields that a rule from outside may have: a misspelt one is not passed over.
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

/// Reads and checks a list as a person writes it: a JSON array of rules, or an
/// object that holds it under `entries`, as it is listed.
///
/// # Errors
/// As [`checked`], and when it is no JSON or of another shape.
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
            (&format!("[{row}, 7]"), "rule 2 (7): it is no rule"),
            (&row.replace("above", "over").replace('{', "[{").replace('}', "}]"), "`above`"),
            (&format!("[{}]", row.replace("threshold", "treshold")), "unknown field `treshold`"),
            (&format!("[{}]", row.replace("\"threshold\": 1", "\"threshold\": \"1\"")), "invalid type"),
        ] {
            let error = parse(typed.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
