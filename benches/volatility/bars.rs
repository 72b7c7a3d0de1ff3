//! A market of minute bars in one Parquet file: symbol by symbol, in whole trading days.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use super::{Checksum, Run};
use crate::figures::Spent;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Minutes of a regular session.
pub const MINUTES_A_DAY: usize = 390;
/// 2024-01-02 at 14:30 in UTC.
const FIRST: i64 = 1_704_205_800_000;
/// As Polars and others write them.
const ROWS_A_GROUP: usize = 256 * 1_024;

/// Writes `days` of `symbols` to `path`, the same for the same numbers.
pub fn write(path: &Path, symbols: usize, days: usize) -> anyhow::Result<()> {
    let double = |name: &str| Field::new(name, DataType::Float64, false);
    let schema = Arc::new(Schema::new(vec![
        Field::new("symbol", DataType::Utf8, false),
        Field::new("start_timestamp", DataType::Int64, false),
        double("open"),
        double("high"),
        double("low"),
        double("close"),
        double("volume"),
    ]));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROWS_A_GROUP))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties))?;
    for symbol in 0..symbols {
        let mut walk = Walk::of(symbol as u64);
        for day in 0..days {
            writer.write(&of_a_day(&schema, &format!("S{symbol:05}"), day, &mut walk)?)?;
        }
    }
    writer.close()?;
    Ok(())
}

fn of_a_day(schema: &Arc<Schema>, symbol: &str, day: usize, walk: &mut Walk) -> anyhow::Result<RecordBatch> {
    let from = FIRST + day as i64 * DAY;
    let bars: Vec<[f64; 5]> = (0..MINUTES_A_DAY).map(|_| walk.bar()).collect();
    let column = |of: usize| Arc::new(bars.iter().map(|bar| bar[of]).collect::<Float64Array>());
    let starts = (0..MINUTES_A_DAY as i64).map(|minute| from + minute * MINUTE);
    Ok(RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(symbol, MINUTES_A_DAY))),
            Arc::new(Int64Array::from_iter_values(starts)),
            column(0),
            column(1),
            column(2),
            column(3),
            column(4),
        ],
    )?)
}

/// A price that moves by cents.
struct Walk {
    random: ChaCha8Rng,
    cents: i64,
}

impl Walk {
    fn of(seed: u64) -> Walk {
        Walk { random: ChaCha8Rng::seed_from_u64(seed), cents: 10_000 }
    }

    /// Open, high, low, close and volume.
    fn bar(&mut self) -> [f64; 5] {
        let drawn = self.random.next_u64();
        let take = |shift: u32, below: u64| ((drawn >> shift & 0xFFF) % below) as i64;
        let open = (self.cents + take(0, 5) - 2).max(100);
        let close = (open + take(12, 21) - 10).max(100);
        let (high, low) = (open.max(close) + take(24, 7), (open.min(close) - take(36, 7)).max(50));
        self.cents = close;
        let price = |cents: i64| cents as f64 / 100.0;
        [price(open), price(high), price(low), price(close), (100 + take(48, 4_000)) as f64]
    }
}

// The same windows, measures and checksum by others.

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
