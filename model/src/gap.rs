//! Gaps: what is known to be missing from the topics of bars.

use serde::{Deserialize, Serialize};

use crate::append::Append;
use crate::schema::{Column, ColumnType};
use crate::time::Millis;
use crate::topic;

/// Bars of one symbol that were not received. A later record of the same
/// symbol and `from` takes the place of an earlier one: gaps grow while a feed
/// is down, and end as empty when they have been filled after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The ticker; `*` where a whole feed is concerned.
    pub symbol: String,
    /// Bars that start at or after this may be missing …
    pub from: Millis,
    /// … and before this. Equal to `from` once nothing is missing any more.
    pub to: Millis,
    /// Why, in words a person reads.
    pub reason: String,
}

impl Gap {
    /// Whether nothing is missing any more.
    pub fn is_filled(&self) -> bool {
        self.to <= self.from
    }

    /// The record that carries it to the log.
    pub fn to_append(&self) -> Append {
        Append::json(topic::GAPS, &self.symbol, self)
    }
}

/// The columns of a [`Gap`], in the order in which they are shown.
pub fn columns() -> Vec<Column> {
    use ColumnType::{Text, Time};
    [("symbol", Text), ("from", Time), ("to", Time), ("reason", Text)]
        .map(|(name, kind)| Column::new(name, kind))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_keyed_by_its_symbol_and_empty_once_filled() {
        let gap = Gap { symbol: "AAPL".into(), from: 60_000, to: 120_000, reason: "no history".into() };
        let append = gap.to_append();
        assert_eq!((append.topic.name(), append.key.as_str()), ("gaps", "AAPL"));
        assert_eq!(serde_json::from_slice::<Gap>(&append.value).unwrap(), gap);
        assert!(!gap.is_filled());
        assert!(Gap { to: gap.from, ..gap }.is_filled());
    }
}
