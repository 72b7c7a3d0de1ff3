//! Memory of the program while it takes a replay as fast as it can, all jobs at work.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use files::TableWriter;
use model::schema::{Column, ColumnType, Value};
use model::time::{DAY, MINUTE, Millis};

use super::Program;
use crate::figures::memory_of;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long a day may take before something must be broken.
const PATIENCE_A_DAY: Duration = Duration::from_secs(300);
/// Minutes of a session.
const MINUTES: usize = 390;
/// Monday 2024-01-08 at 14:30 in UTC.
const FIRST: Millis = 1_704_724_200_000;

/// What was seen.
pub struct Month {
    bars: usize,
    took: Duration,
    /// KiB, look by look.
    seen: Vec<u64>,
}

impl Month {
    /// The most memory at any look, in KiB.
    pub fn peak(&self) -> u64 {
        self.seen.iter().copied().max().unwrap_or_default()
    }

    /// How many times the first half's peak the second half's is.
    pub fn growth(&self) -> f64 {
        let (first, second) = self.seen.split_at(self.seen.len() / 2);
        let peak = |half: &[u64]| half.iter().copied().max().unwrap_or_default() as f64;
        peak(second) / peak(first)
    }

    /// Bars a second.
    pub fn rate(&self) -> f64 {
        self.bars as f64 / self.took.as_secs_f64()
    }
}

/// Lets it take so many trading days.
pub fn run(program: &Path, symbols: usize, days: usize) -> anyhow::Result<Month> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("month.parquet");
    write(&file, symbols, days)?;
    let source = format!("replay:{}", file.display());
    let arguments = ["--prices", &source, "--speed", "max", "--exit-when-done", "--listen", "127.0.0.1:0"];
    let begun = Instant::now();
    let mut running = Program::up(program, folder.path(), &arguments.map(AsRef::as_ref))?;
    let mut seen = Vec::new();
    let ended = loop {
        if let Some(ended) = running.0.try_wait()? {
            break ended;
        }
        // A process that has just ended has no memory.
        seen.extend(memory_of(running.0.id()).ok());
        ensure!(begun.elapsed() < PATIENCE_A_DAY * days as u32, "the replay never ends");
        std::thread::sleep(LOOK);
    };
    ensure!(ended.success(), "the program failed");
    Ok(Month { bars: symbols * days * MINUTES, took: begun.elapsed(), seen })
}

/// Bars of weekdays, minute by minute.
fn write(file: &Path, symbols: usize, days: usize) -> anyhow::Result<()> {
    let double = |name: &str| Column::new(name, ColumnType::Float);
    let columns = [
        Column::new("symbol", ColumnType::Text),
        Column::new("start_ms", ColumnType::Int),
        double("open"),
        double("high"),
        double("low"),
        double("close"),
        double("volume"),
    ];
    let mut table = TableWriter::create(None, &columns, Some(file))?;
    for day in 0..days {
        let start = FIRST + (day / 5 * 7 + day % 5) as Millis * DAY;
        for minute in 0..MINUTES {
            for symbol in 0..symbols {
                table.write_row(&row(symbol, start + minute as Millis * MINUTE))?;
            }
        }
    }
    Ok(table.finish()?)
}

fn row(symbol: usize, start: Millis) -> [Value; 7] {
    let price = |at: i64| (10_000 + (symbol as i64 * 31 + at * at * 7) % 41) as f64 / 100.0;
    let minute = start / MINUTE;
    let (open, close) = (price(minute % 1_009), price((minute + 1) % 1_009));
    [
        Value::Text(format!("S{symbol:03}")),
        Value::Int(start),
        Value::Float(open),
        Value::Float(open.max(close) + 0.02),
        Value::Float(open.min(close) - 0.03),
        Value::Float(close),
        Value::Float((100 + minute % 977) as f64),
    ]
}
