//! Rows as a table that a person reads on a terminal.

use std::io::Write;

use model::number;
use model::schema::{Column, ColumnType, Value};
use model::time;
use query::explore::Answer;

/// So many rows fit into a head, and into a terminal's memory.
const SHOWN: usize = 1_000;

/// Prints the first rows, and says where there are more.
pub async fn print(answer: &mut Answer) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    while rows.len() <= SHOWN
        && let Some(more) = answer.next().await?
    {
        rows.extend(more);
    }
    let is_all = rows.len() <= SHOWN;
    rows.truncate(SHOWN);
    let mut out = std::io::stdout().lock();
    write!(out, "{}", table(answer.columns(), &rows))?;
    match is_all {
        true => Ok(writeln!(out, "({} rows)", rows.len())?),
        false => Ok(writeln!(out, "(the first {SHOWN} rows: --out FILE writes all of them)")?),
    }
}

/// Columns side by side, numbers to the right.
fn table(columns: &[Column], rows: &[Vec<Value>]) -> String {
    let names = columns.iter().map(|column| column.name.clone()).collect();
    let cells =
        rows.iter().map(|row| row.iter().zip(columns).map(|(value, column)| cell(value, column)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(names).chain(cells).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let is_number = |at: usize| matches!(columns[at].kind, ColumnType::Float | ColumnType::Int);
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<_> = line
            .iter()
            .enumerate()
            .map(|(at, cell)| match is_number(at) {
                true => format!("{cell:>width$}", width = widths[at]),
                false => format!("{cell:<width$}", width = widths[at]),
            })
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A value on one line; what a terminal would obey is written out.
fn cell(value: &Value, column: &Column) -> String {
    match value {
        Value::Null => String::new(),
        Value::Int(at) if column.kind == ColumnType::Time => time::rfc3339(*at),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number::f64_text(*value),
        Value::Bool(value) => value.to_string(),
        // A plan has many lines.
        Value::Text(text) => {
            let shown =
                |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.into() };
            text.trim_end().chars().map(shown).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_names_and_nothing_reaches_the_terminal_as_a_command() {
        let columns = [
            Column::new("symbol", ColumnType::Text),
            Column::new("window_end", ColumnType::Time),
            Column::new("close", ColumnType::Float),
        ];
        let text = |text: &str| Value::Text(text.into());
        let rows = [
            vec![text("AAPL"), Value::Int(1_380_893_400_000), Value::Float(101.5)],
            vec![text("\u{1b}[2J"), Value::Null, Value::Float(7.0)],
        ];
        let wanted = "symbol     window_end            close\n\
                      AAPL       2013-10-04T13:30:00Z  101.5\n\
                      \\u{1b}[2J                            7\n";
        assert_eq!(table(&columns, &rows), wanted);
    }
}
