//! The part of the trading day as a column of its own, where it is asked for.

use model::Instrument;
use model::schema::{Column, ColumnType, Value};
use model::time::Millis;

/// Labels rows by their symbol and time: pre, regular, post, continuous or closed.
pub struct Sessions {
    symbol: Option<usize>,
    time: usize,
    /// A window is of the minute that it ends with.
    back: Millis,
}

impl Sessions {
    /// The labels of rows with these columns; none where they have no time. A
    /// window's time is its end, everything else's the first time it has.
    pub fn of(columns: &[Column]) -> Option<Sessions> {
        let end = columns.iter().position(|column| column.name == "window_end");
        let first = || columns.iter().position(|column| column.kind == ColumnType::Time);
        let symbol = columns.iter().position(|column| column.name == "symbol");
        Some(Sessions { symbol, time: end.or_else(first)?, back: Millis::from(end.is_some()) })
    }

    /// The column that is added.
    pub fn column() -> Column {
        Column::new("session", ColumnType::Text)
    }

    /// The label of a row.
    pub fn label(&self, row: &[Value]) -> Value {
        match row.get(self.time).and_then(Value::as_i64) {
            Some(at) => {
                let symbol = self.symbol.and_then(|place| row.get(place)?.as_str()).unwrap_or_default();
                Value::Text(Instrument::of(symbol).calendar().phase(at - self.back).to_string())
            }
            None => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_labelled_by_its_last_minute_and_a_bar_by_its_start() {
        let time = |name: &str| Column::new(name, ColumnType::Time);
        let label = |columns: &[Column], at: &[i64]| {
            let row: Vec<Value> = at.iter().map(|at| Value::Int(*at)).collect();
            Sessions::of(columns).unwrap().label(&row).as_str().map(str::to_owned).unwrap()
        };
        // 2024-07-03 was a half day: 13:00 in New York is 17:00 in UTC.
        let close = 1_720_026_000_000;
        let window = [time("window_start"), time("window_end")];
        assert_eq!(label(&window, &[close - 1_800_000, close]), "regular");
        assert_eq!(label(&window, &[close - 1_740_000, close + 60_000]), "post");
        assert_eq!(label(&[time("start_timestamp")], &[close]), "post");
        assert_eq!(label(&[time("start_timestamp")], &[close - 13 * 3_600_000]), "closed");
        assert!(Sessions::of(&[Column::new("symbol", ColumnType::Text)]).is_none());
    }

    #[test]
    fn each_row_is_labelled_by_the_hours_of_its_own_market() {
        let columns =
            [Column::new("symbol", ColumnType::Text), Column::new("start_timestamp", ColumnType::Time)];
        let sessions = Sessions::of(&columns).unwrap();
        // 2024-03-09 16:00 in UTC, a Saturday.
        let saturday = 1_710_000_000_000;
        for (symbol, label) in [("X:BTC-USD", "continuous"), ("C:EUR-USD", "closed"), ("AAPL", "closed")] {
            let row = [Value::Text(symbol.into()), Value::Int(saturday)];
            assert_eq!(sessions.label(&row), Value::Text(label.into()), "{symbol}");
        }
    }
}
