//! Compares rows of the same identity: a row that was made of less never replaces one that was
//! made of more, whenever that was written.
//!
//! Rows state what they were made of: the numbers of bars and articles, and the latest received
//! time of these. If that does not decide and the values differ, the row is recomputed from the
//! stored records.

use std::collections::HashMap;
use std::sync::Arc;

use model::schema::Value;
use model::time::Millis;
use store::{Measurement, Point, SharedStore};

use crate::error::SinkError;

/// The columns that state what a row was made of; each only grows with more input.
const VERSION: [&str; 5] =
    ["bars", "articles", "received_until", "received_timestamp", "article_received_timestamp"];

/// The largest number of symbols that are tracked per job. Beyond it, the latest time of all
/// symbols applies to each, which causes some unnecessary reads of the store.
const SYMBOLS: usize = 60_000;

/// How a row compares with the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No row is stored.
    New,
    /// All values are equal.
    Same,
    /// Equal, except for values that the stored row lacks, such as those of a newer format.
    Completed,
    /// Made of more.
    Richer,
    /// Made of less.
    Poorer,
    /// Different, and neither made of more nor of less.
    Unclear,
}

/// Compares `new` with `stored`, both with the columns of `measurement`.
pub(crate) fn verdict(measurement: &Measurement, stored: Option<&[Value]>, new: &[Value]) -> Verdict {
    let Some(stored) = stored else { return Verdict::New };
    if stored == new {
        return Verdict::Same;
    }
    let (mut more, mut less) = (false, false);
    for (column, (stored, new)) in measurement.columns.iter().zip(stored.iter().zip(new)) {
        if VERSION.contains(&column.name.as_str())
            && let (Some(stored), Some(new)) = (number(stored), number(new))
        {
            more |= new > stored;
            less |= new < stored;
        }
    }
    match (more, less) {
        (true, false) => Verdict::Richer,
        (false, true) => Verdict::Poorer,
        (true, true) => Verdict::Unclear,
        (false, false) => {
            let completes = |(stored, new): (&Value, &Value)| stored == new || *stored == Value::Null;
            match stored.iter().zip(new).all(completes) {
                true => Verdict::Completed,
                false => Verdict::Unclear,
            }
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_i64().map(|value| value as f64))
}

/// The latest row time of each symbol of a job. A row after it is new, and needs no comparison
/// with the store.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    /// The time up to which any symbol may have rows (ms).
    floor: Option<Millis>,
    symbols: HashMap<String, Millis>,
}

impl Newest {
    /// Begins with `floor` as the time up to which any symbol may have rows.
    pub(crate) fn after(floor: Option<Millis>) -> Newest {
        Newest { floor, symbols: HashMap::new() }
    }

    /// Whether a row of this time is newer than all rows of its symbol; if so, it becomes the
    /// latest.
    pub(crate) fn advance(&mut self, symbol: &str, time: Millis) -> bool {
        if self.floor.is_some_and(|floor| time <= floor) {
            return false;
        }
        match self.symbols.get_mut(symbol) {
            Some(newest) if time <= *newest => false,
            Some(newest) => {
                *newest = time;
                true
            }
            None => {
                if self.symbols.len() >= SYMBOLS {
                    self.floor = self.floor.max(self.symbols.values().max().copied());
                    self.symbols.clear();
                }
                self.symbols.insert(symbol.to_owned(), time);
                true
            }
        }
    }
}

/// The outcome of comparing recomputed rows with the stored ones.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// The rows to be written.
    pub(crate) points: Vec<Point>,
    /// The number of all rows.
    pub(crate) rows: u64,
    /// The symbol and time of each row to be written that replaces a different one.
    pub(crate) changed: Vec<(String, Millis)>,
    /// The number of rows that are made of less than the stored ones.
    pub(crate) poorer: u64,
}

impl Judged {
    /// Compares rows that were computed from stored records with the stored rows.
    pub(crate) async fn of(
        store: &SharedStore,
        measurement: &Arc<Measurement>,
        points: Vec<Point>,
    ) -> Result<Judged, SinkError> {
        let held = store.held(measurement, &points).await?;
        let (symbol, time) = (measurement.index_of("symbol"), measurement.index_of(&measurement.time));
        let mut judged = Judged { rows: points.len() as u64, ..Judged::default() };
        for (point, held) in points.into_iter().zip(held) {
            match verdict(measurement, held.as_deref(), &point.values) {
                Verdict::Same => continue,
                Verdict::Poorer => {
                    judged.poorer += 1;
                    continue;
                }
                Verdict::New | Verdict::Completed => {}
                Verdict::Richer | Verdict::Unclear => {
                    let symbol = symbol.and_then(|at| point.values[at].as_str()).unwrap_or_default();
                    let time = time.and_then(|at| point.values[at].as_i64()).unwrap_or_default();
                    judged.changed.push((symbol.to_owned(), time));
                }
            }
            judged.points.push(point);
        }
        Ok(judged)
    }
}

#[cfg(test)]
mod tests {
    use model::schema::{Column, ColumnType};

    use super::*;

    fn measurement() -> Measurement {
        let columns = [
            ("symbol", ColumnType::Text),
            ("window_end", ColumnType::Time),
            ("realized", ColumnType::Float),
            ("articles", ColumnType::Float),
            ("bars", ColumnType::Int),
            ("received_until", ColumnType::Time),
        ];
        Measurement {
            name: "rows".into(),
            columns: columns.map(|(name, kind)| Column::new(name, kind)).into(),
            tags: vec!["symbol".into()],
            time: "window_end".into(),
            version: None,
        }
    }

    fn row(realized: f64, articles: f64, bars: i64, received: Option<i64>) -> Vec<Value> {
        let received = received.map_or(Value::Null, Value::Int);
        let symbol = Value::Text("A".into());
        vec![
            symbol,
            Value::Int(9),
            Value::Float(realized),
            Value::Float(articles),
            Value::Int(bars),
            received,
        ]
    }

    #[test]
    fn what_a_row_was_made_of_decides_and_not_when_it_was_written() {
        let verdict =
            |new: Vec<Value>| verdict(&measurement(), Some(row(0.5, 1.0, 30, Some(100)).as_slice()), &new);
        assert_eq!(verdict(row(0.5, 1.0, 30, Some(100))), Verdict::Same);
        assert_eq!(verdict(row(0.4, 1.0, 29, Some(100))), Verdict::Poorer);
        assert_eq!(verdict(row(0.4, 0.0, 30, Some(100))), Verdict::Poorer);
        assert_eq!(verdict(row(0.4, 1.0, 30, Some(99))), Verdict::Poorer);
        assert_eq!(verdict(row(0.6, 1.0, 31, Some(100))), Verdict::Richer);
        assert_eq!(verdict(row(0.6, 1.0, 30, Some(101))), Verdict::Richer);
        assert_eq!(verdict(row(0.6, 1.0, 31, Some(99))), Verdict::Unclear);
        assert_eq!(verdict(row(0.6, 1.0, 30, Some(100))), Verdict::Unclear);
        assert_eq!(verdict(row(0.6, 2.0, 29, Some(100))), Verdict::Unclear);
    }

    #[test]
    fn a_stored_row_of_an_older_format_is_completed_or_compared_without() {
        let stored = row(0.5, 1.0, 30, None);
        let verdict = |new: Vec<Value>| verdict(&measurement(), Some(&stored), &new);
        assert_eq!(verdict(row(0.5, 1.0, 30, Some(100))), Verdict::Completed);
        assert_eq!(verdict(row(0.4, 1.0, 29, Some(100))), Verdict::Poorer);
        assert_eq!(verdict(row(0.4, 1.0, 30, Some(100))), Verdict::Unclear);
    }

    #[test]
    fn only_rows_beyond_the_newest_of_their_symbol_move_on() {
        let mut newest = Newest::after(Some(10));
        assert!(!newest.advance("A", 10), "it may be stored");
        assert!(newest.advance("A", 11) && !newest.advance("A", 11) && newest.advance("A", 12));
        assert!(newest.advance("B", 11), "each symbol by itself");
        for symbol in 0..=SYMBOLS {
            newest.advance(&symbol.to_string(), 20);
        }
        assert!(newest.symbols.len() <= SYMBOLS, "what is remembered has a limit");
        assert!(!newest.advance("A", 13), "beyond the limit rows are looked up");
    }
}
