//! What came of a study as rows, for files and answers: returns as logs, times
//! in epoch milliseconds.

use model::schema::{Column, ColumnType, Value};

use crate::estimate::Estimate;
use crate::impact::{Comparison, Share};
use crate::mean::MeanPath;
use crate::symbol_study::SymbolStudy;

/// Rows under named columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, their values in the order of the columns.
    pub rows: Vec<Vec<Value>>,
}

use ColumnType::{Float, Int, Text, Time};

fn columns(named: &[(&str, ColumnType)]) -> Vec<Column> {
    named.iter().map(|&(name, kind)| Column::new(name, kind)).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn float(value: Option<f64>) -> Value {
    value.map_or(Value::Null, Value::Float)
}

fn count(count: usize) -> Value {
    Value::Int(count as i64)
}

/// Mean paths, a row a symbol and minute, each under its name.
pub fn mean_paths<'a>(paths: impl IntoIterator<Item = (&'a str, &'a MeanPath)>) -> Table {
    let columns = columns(&[
        ("symbol", Text),
        ("minute", Int),
        ("events", Int),
        ("cumulative", Float),
        ("standard_error", Float),
        ("low", Float),
        ("high", Float),
        ("abnormal_return", Float),
        ("abnormal_volume", Float),
        ("abnormal_volume_low", Float),
        ("abnormal_volume_high", Float),
    ]);
    let mut rows = Vec::new();
    for (symbol, path) in paths {
        for minute in &path.minutes {
            let mean = |estimate: Option<Estimate>| float(estimate.map(|estimate| estimate.mean));
            let band = |estimate: Option<Estimate>| estimate.and_then(|estimate| estimate.band);
            let (cumulative, volume) = (minute.cumulative, minute.abnormal_volume);
            rows.push(vec![
                text(symbol),
                Value::Int(minute.minute),
                count(cumulative.map_or(0, |estimate| estimate.count)),
                mean(cumulative),
                float(cumulative.and_then(|estimate| estimate.standard_error)),
                float(band(cumulative).map(|(low, _)| low)),
                float(band(cumulative).map(|(_, high)| high)),
                mean(minute.abnormal_return),
                mean(volume),
                float(band(volume).map(|(low, _)| low)),
                float(band(volume).map(|(_, high)| high)),
            ]);
        }
    }
    Table { columns, rows }
}

/// Every article with what came of it, at the minutes `at`.
pub fn articles<'a>(symbols: impl IntoIterator<Item = &'a SymbolStudy>, at: &[i64]) -> Table {
    let mut columns = columns(&[
        ("symbol", Text),
        ("id", Text),
        ("event_time", Time),
        ("left_out", Text),
        ("quiet_sessions", Int),
        ("reference_price", Float),
    ]);
    let name = |what: &str, minute: &i64| match minute {
        ..0 => format!("{what}_before_{}", -minute),
        _ => format!("{what}_after_{minute}"),
    };
    for what in ["log_return", "cumulative", "standard_error"] {
        columns.extend(at.iter().map(|minute| Column::new(name(what, minute), Float)));
    }
    let mut rows = Vec::new();
    for reaction in symbols.into_iter().flat_map(|symbol| &symbol.reactions) {
        let path = reaction.path.as_ref();
        let mut row = vec![
            text(&reaction.symbol),
            text(&reaction.id),
            Value::Int(reaction.at),
            reaction.left_out.map_or(Value::Null, |reason| text(reason.reason())),
            path.map_or(Value::Null, |path| count(path.sessions)),
            float(path.map(|path| path.reference_price)),
        ];
        let minute = |minute: &i64| path.and_then(|path| path.minute(*minute));
        row.extend(at.iter().map(|at| float(minute(at).and_then(|minute| minute.log_return))));
        row.extend(at.iter().map(|at| float(minute(at).and_then(|minute| minute.cumulative))));
        row.extend(at.iter().map(|at| float(minute(at).and_then(|minute| minute.standard_error))));
        rows.push(row);
    }
    Table { columns, rows }
}

/// Windows with news beside windows without, two rows a symbol.
pub fn comparisons<'a>(compared: impl IntoIterator<Item = (&'a str, &'a Comparison)>) -> Table {
    let columns = columns(&[
        ("symbol", Text),
        ("news", Text),
        ("windows", Int),
        ("with_jumps", Int),
        ("share", Float),
        ("low", Float),
        ("high", Float),
        ("sessions", Int),
        ("mean_realized", Float),
    ]);
    let row = |symbol: &str, news: &str, share: &Share| {
        vec![
            text(symbol),
            text(news),
            count(share.windows),
            count(share.jumps),
            float(share.share()),
            float(share.band.map(|(low, _)| low)),
            float(share.band.map(|(_, high)| high)),
            count(share.sessions),
            float(share.realized),
        ]
    };
    let rows = compared.into_iter().flat_map(|(symbol, compared)| {
        [row(symbol, "with", &compared.with_news), row(symbol, "without", &compared.without_news)]
    });
    let rows = rows.collect();
    Table { columns, rows }
}
