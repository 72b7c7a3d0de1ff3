//! The same windows, measures and checksum by others.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{Checksum, Run};

const POLARS: &str = include_str!("polars.py");

/// Runs each peer in its own process; what it needs to start does not count.
pub fn run(python: &Path, file: &Path) -> anyhow::Result<Vec<(&'static str, Run)>> {
    let output = Command::new(python).arg("-c").arg(POLARS).arg(file).output().context("no such Python")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "Polars failed: {said}");
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let seconds = |name: &str| Some(Duration::from_secs_f64(answer[name].as_f64()?));
    let sums = answer["sums"].as_array().into_iter().flatten();
    let checksum = Checksum {
        windows: answer["windows"].as_u64().context("no windows")?,
        sums: sums.map(|sum| sum.as_f64().unwrap_or(f64::NAN)).collect(),
    };
    let wall = seconds("wall").context("no time")?;
    let processor = seconds("processor").context("no processor time")?;
    Ok(vec![("Polars", Run { wall, processor, checksum })])
}
