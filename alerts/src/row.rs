//! A row of the job `signals`. Its columns are the job's affair: a rule names
//! one, and here it is looked up.

use std::collections::BTreeMap;

use model::time::Millis;
use serde::Deserialize;
use serde_json::Value as Json;

/// The signals of one symbol in one window.
#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) symbol: String,
    pub(crate) window_start: Millis,
    pub(crate) window_end: Millis,
    #[serde(flatten)]
    columns: BTreeMap<String, Json>,
}

impl Row {
    /// Reads a record's value.
    pub(crate) fn read(json: &[u8]) -> Result<Row, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// A signal; none where it is null, no number, or not among the columns.
    pub(crate) fn signal(&self, name: &str) -> Option<f64> {
        self.columns.get(name)?.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_looked_up_by_name_whatever_columns_there_are() {
        let json =
            br#"{"symbol": "A", "window_start": 0, "window_end": 60000, "rsi": 71, "z": null, "word": "x"}"#;
        let row = Row::read(json).unwrap();
        assert_eq!((row.symbol.as_str(), row.window_start, row.window_end), ("A", 0, 60_000));
        assert_eq!(row.signal("rsi"), Some(71.0));
        assert_eq!([row.signal("z"), row.signal("word"), row.signal("other")], [None; 3]);
        assert!(Row::read(br#"{"symbol": "A"}"#).is_err());
    }
}
