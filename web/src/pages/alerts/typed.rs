//! What was typed into the form of a rule, and why it was not taken.

use axum::http::StatusCode;
use control::rules::{BadChange, BadRules, Change, Rule};
use model::alert::Comparison;
use serde::Deserialize;

/// The form, as text: whatever is in it is shown again where it is refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TypedRule {
    /// The version of the rules that the page showed.
    pub(super) version: String,
    /// `add`, `adjust`, `enable`, `disable` or `remove`.
    pub(super) action: String,
    pub(super) name: String,
    pub(super) signal: String,
    pub(super) comparison: String,
    pub(super) threshold: String,
    pub(super) hysteresis: String,
    pub(super) symbols: String,
    pub(super) meaning: String,
}

/// A change that was not made.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) typed: TypedRule,
    /// The field that is to be changed, if one is.
    pub(super) field: Option<&'static str>,
    pub(super) message: String,
}

impl TypedRule {
    /// A rule as the form shows it.
    pub(super) fn of(rule: &Rule) -> TypedRule {
        TypedRule {
            name: rule.name.clone(),
            signal: rule.signal.clone(),
            comparison: rule.comparison.to_string(),
            threshold: rule.threshold.to_string(),
            hysteresis: rule.hysteresis.to_string(),
            symbols: rule.symbols.join(", "),
            meaning: rule.meaning.clone(),
            ..TypedRule::default()
        }
    }

    /// Whether a rule is to be added.
    pub(super) fn adds(&self) -> bool {
        self.action == "add"
    }

    /// The change that is asked for.
    pub(super) fn change(&self) -> Result<Change, Refused> {
        let name = || self.name.trim().to_owned();
        match self.action.as_str() {
            "add" => Ok(Change::Add(self.rule()?)),
            "adjust" => Ok(Change::Adjust {
                name: name(),
                threshold: Some(self.number("threshold", &self.threshold)?),
                hysteresis: Some(self.number("hysteresis", &self.hysteresis)?),
            }),
            "enable" => Ok(Change::Enable(name(), true)),
            "disable" => Ok(Change::Enable(name(), false)),
            "remove" => Ok(Change::Remove(name())),
            _ => Err(self.refused(None, "The form asks for nothing that can be done; load the page again.")),
        }
    }

    fn rule(&self) -> Result<Rule, Refused> {
        let comparison = Comparison::ALL.into_iter().find(|known| known.as_str() == self.comparison);
        let comparison = comparison.ok_or_else(|| {
            self.refused(Some("comparison"), "`comparison` takes `above`, `below` or `crosses`")
        })?;
        let symbols = self.symbols.split([',', ' ']).filter(|symbol| !symbol.is_empty());
        Ok(Rule {
            name: self.name.clone(),
            signal: self.signal.clone(),
            comparison,
            threshold: self.number("threshold", &self.threshold)?,
            hysteresis: match self.hysteresis.trim() {
                "" => 0.0,
                typed => self.number("hysteresis", typed)?,
            },
            enabled: true,
            symbols: symbols.map(str::to_owned).collect(),
            meaning: self.meaning.clone(),
        })
    }

    fn number(&self, field: &'static str, typed: &str) -> Result<f64, Refused> {
        let number = typed.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| {
            let short: String = typed.chars().take(40).collect();
            self.refused(Some(field), &format!("`{field}` is `{short}`: it takes a number, as 0.5 or -3"))
        })
    }

    /// Not taken as it was typed.
    pub(super) fn refused(&self, field: Option<&'static str>, message: &str) -> Refused {
        let (typed, message) = (self.clone(), message.to_owned());
        Refused { status: StatusCode::UNPROCESSABLE_ENTITY, typed, field, message }
    }

    /// Not taken because the rules would be bad ones.
    pub(super) fn refused_by(&self, bad: &BadRules) -> Refused {
        match bad {
            BadRules::Rules(places) if !places.is_empty() => {
                self.refused(places[0].problem.field(), &places[0].problem.to_string())
            }
            bad => self.refused(None, &bad.to_string()),
        }
    }

    /// Not taken because the change cannot be made.
    pub(super) fn refused_change(&self, bad: &BadChange) -> Refused {
        match bad {
            BadChange::Rules(bad) => self.refused_by(bad),
            BadChange::NoSuchRule(bad) => self.refused(None, &bad.to_string()),
        }
    }
}

impl Refused {
    /// Whether it is about a line of the table.
    pub(super) fn is_about(&self, rule: &str) -> bool {
        self.typed.action == "adjust" && self.typed.name == rule
    }
}
