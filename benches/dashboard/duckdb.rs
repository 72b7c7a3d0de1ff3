//! The same questions to DuckDB, over tables of its own with the same rows.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{DAYS, History, Question};

/// How long each question took; `rows` must have come in all.
pub fn ask(
    python: &Path,
    history: &History,
    folder: &Path,
    questions: &[Question],
    rows: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut tables = Vec::new();
    for measurement in history.measurements()? {
        let file = history.parquet(&measurement, folder)?;
        tables.push(json!({"name": measurement.name, "time": measurement.time, "file": file}));
    }
    let question = |&(symbol, day): &Question| {
        json!([History::symbol(symbol), History::start(day), History::start(day + DAYS)])
    };
    let asked = json!({
        "database": folder.join(format!("duckdb-{}-{}.db", history.symbols, history.days)),
        "tables": tables,
        "questions": questions.iter().map(question).collect::<Vec<_>>(),
    });
    let mut running = Command::new(python)
        .args(["-c", include_str!("with_duckdb.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("no such Python")?;
    running.stdin.take().context("it reads")?.write_all(asked.to_string().as_bytes())?;
    let output = running.wait_with_output()?;
    ensure!(output.status.success(), "DuckDB failed");
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(answer["rows"] == rows, "DuckDB finds {} rows and not {rows}", answer["rows"]);
    let seconds = answer["seconds"].as_array().into_iter().flatten().filter_map(Value::as_f64);
    Ok(seconds.map(Duration::from_secs_f64).collect())
}
