//! Alerts: episodes in which a rule held for a symbol, from the window that
//! opened them to the one that closed them.

use serde::{Deserialize, Serialize};

use crate::append::Append;
use crate::schema::{Column, ColumnType};
use crate::time::Millis;
use crate::topic;

/// One episode, as it stands on `alerts`: said when it opens, and again, with
/// `closed`, when it closes. Symbol, rule and opening tell it from all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The ticker.
    pub symbol: String,
    /// The rule's name.
    pub rule: String,
    /// The same for every word about this episode, however often it is said.
    pub episode: String,
    /// The end of the window that opened it: its event time.
    pub opened: Millis,
    /// The end of the window that closed it; none while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Millis>,
    /// The column of `signals` that the rule watches.
    pub signal: String,
    /// How the signal is compared with the threshold.
    pub comparison: Comparison,
    /// The signal when the episode opened.
    pub value: f64,
    /// The signal farthest beyond the threshold so far.
    pub extreme: f64,
    /// The threshold then.
    pub threshold: f64,
    /// Why, in a sentence.
    pub explanation: String,
}

impl Alert {
    /// The id of an episode.
    pub fn episode_of(rule: &str, symbol: &str, opened: Millis) -> String {
        format!("{rule}/{symbol}/{opened}")
    }

    /// The record that carries it to the log.
    pub fn to_append(&self) -> Append {
        Append::json(topic::ALERTS, &self.symbol, self)
    }
}

/// How a signal is compared with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// An episode opens above the threshold, and closes at or below it less the hysteresis.
    Above,
    /// An episode opens below the threshold, and closes at or above it plus the hysteresis.
    Below,
    /// Each passage from one side to the other is an episode of one window.
    Crosses,
}

impl Comparison {
    /// Every comparison, as it is typed.
    pub const ALL: [Comparison; 3] = [Comparison::Above, Comparison::Below, Comparison::Crosses];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Comparison::Above => "above",
            Comparison::Below => "below",
            Comparison::Crosses => "crosses",
        }
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The columns of an [`Alert`], in the order in which they are shown.
pub fn columns() -> Vec<Column> {
    use ColumnType::{Float, Text, Time};
    [
        ("symbol", Text),
        ("rule", Text),
        ("opened", Time),
        ("closed", Time),
        ("signal", Text),
        ("comparison", Text),
        ("value", Float),
        ("extreme", Float),
        ("threshold", Float),
        ("explanation", Text),
        ("episode", Text),
    ]
    .map(|(name, kind)| Column::new(name, kind))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_keyed_by_its_symbol_and_has_a_column_for_every_field() {
        let alert = Alert {
            symbol: "AAPL".into(),
            rule: "jump".into(),
            episode: Alert::episode_of("jump", "AAPL", 60_000),
            opened: 60_000,
            closed: Some(120_000),
            signal: "jump_share".into(),
            comparison: Comparison::Above,
            value: 0.6,
            extreme: 0.7,
            threshold: 0.5,
            explanation: "It jumps.".into(),
        };
        let append = alert.to_append();
        assert_eq!((append.topic.name(), append.key.as_str()), ("alerts", "AAPL"));
        let json: serde_json::Value = serde_json::from_slice(&append.value).unwrap();
        let mut columns: Vec<_> = columns().into_iter().map(|column| column.name).collect();
        columns.sort();
        let fields: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(columns, fields, "serde_json sorts the fields of an object");
        assert_eq!(serde_json::from_slice::<Alert>(&append.value).unwrap(), alert);
    }
}
