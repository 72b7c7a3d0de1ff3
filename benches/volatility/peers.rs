//! The same windows, measures and checksum by others.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{Checksum, Run};
use crate::usage::Spent;

/// By Polars, in its own process; what it needs to start does not count.
pub fn polars(python: &Path, file: &Path) -> anyhow::Result<Run> {
    run(python, include_str!("with_polars.py"), file).context("Polars failed")
}

/// By pandas, likewise.
pub fn pandas(python: &Path, file: &Path) -> anyhow::Result<Run> {
    run(python, include_str!("with_pandas.py"), file).context("pandas failed")
}

fn run(python: &Path, script: &str, file: &Path) -> anyhow::Result<Run> {
    let output = Command::new(python).arg("-c").arg(script).arg(file).output().context("no such Python")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "it said: {said}");
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let seconds = |name: &str| Some(Duration::from_secs_f64(answer[name].as_f64()?));
    let sums = answer["sums"].as_array().into_iter().flatten();
    let checksum = Checksum {
        windows: answer["windows"].as_u64().context("no windows")?,
        sums: sums.map(|sum| sum.as_f64().unwrap_or(f64::NAN)).collect(),
    };
    let wall = seconds("wall").context("no time")?;
    let processor = seconds("processor").context("no processor time")?;
    Ok(Run { spent: Spent { wall, processor }, checksum })
}
