//! How fast do points become line protocol, beside two encoders of others?

mod peers;

use std::fmt;
use std::sync::Arc;

use clap::Args;
use model::schema::{Column, ColumnType, Value};
use store::line_protocol::{Layout, Lines};
use store::{Measurement, Point};

use crate::Answer as _;
use crate::figures::{Figure, Goal};
use crate::usage::{Spent, Stopwatch};

/// How large a run is.
#[derive(Args)]
pub struct Wanted {
    /// Points that are encoded at once
    #[arg(long, default_value_t = 10_000)]
    points: usize,
    /// How often each encoder does so
    #[arg(long, default_value_t = 200)]
    rounds: usize,
}

/// What came out.
pub struct Answer {
    points: usize,
    /// Ours first.
    runs: Vec<(&'static str, Spent)>,
    /// Allocations of ours in a round, once its buffers have grown.
    allocations: u64,
}

/// Times each encoder over the same points; their lines must say the same.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let shape = Arc::new(shape());
    let points: Vec<Point> = (0..wanted.points).map(point).collect();
    let layout = Layout::new(shape.clone());
    let (mut lines, mut text) = (Lines::default(), Vec::new());
    encode(&layout, &points, &mut lines)?;
    for (name, peer) in peers::ALL {
        text.clear();
        peer(&shape, &points, &mut text)?;
        peers::check_same(lines.text(), std::str::from_utf8(&text)?)
            .map_err(|error| error.context(format!("{name} writes something else")))?;
    }
    let mut again = Ok(());
    let counted = allocation_counter::measure(|| again = encode(&layout, &points, &mut lines));
    again?;
    let ours = rounds(wanted, || encode(&layout, &points, &mut lines))?;
    let mut runs = vec![("tickwire", ours)];
    for (name, peer) in peers::ALL {
        let spent = rounds(wanted, || {
            text.clear();
            peer(&shape, &points, &mut text)
        });
        runs.push((name, spent?));
    }
    Ok(Answer { points: wanted.points * wanted.rounds, runs, allocations: counted.count_total })
}

fn rounds(wanted: &Wanted, mut encode: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Spent> {
    let watch = Stopwatch::start()?;
    (0..wanted.rounds).try_for_each(|_| encode())?;
    watch.stop()
}

fn encode(layout: &Layout, points: &[Point], lines: &mut Lines) -> anyhow::Result<()> {
    lines.clear();
    Ok(points.iter().try_for_each(|point| lines.push(layout, point))?)
}

/// A tag, a time and ten fields, as of a bar.
fn shape() -> Measurement {
    use ColumnType::{Bool, Float, Int, Text, Time};
    let columns = [
        ("symbol", Text),
        ("start_timestamp", Time),
        ("open", Float),
        ("high", Float),
        ("low", Float),
        ("close", Float),
        ("volume", Float),
        ("vwap", Float),
        ("realized", Float),
        ("trades", Int),
        ("otc", Bool),
        ("source", Text),
    ];
    Measurement {
        name: "stock_prices".into(),
        columns: columns.map(|(name, kind)| Column::new(name, kind)).into(),
        tags: vec!["symbol".into()],
        time: "start_timestamp".into(),
        version: None,
    }
}

fn point(number: usize) -> Point {
    let cents = |more: usize| Value::Float((10_000 + (number * 7 + more) % 997) as f64 / 100.0);
    let values = vec![
        Value::Text(format!("S{:04}", number % 500)),
        Value::Int(1_704_205_800_000 + (number / 500) as i64 * 60_000),
        cents(3),
        cents(9),
        cents(1),
        cents(4),
        Value::Float((number % 5_000) as f64),
        Value::Float(100.0 + number as f64 / 7.0),
        Value::Float(1.0 / (number + 300) as f64),
        Value::Int(number as i64),
        Value::Bool(false),
        Value::Text("polygon".into()),
    ];
    Point { nanos: 0, values }
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let ours = self.runs[0].1;
        let ratio = |peer: &(&str, Spent), goal| {
            let times = peer.1.processor.as_secs_f64() / ours.processor.as_secs_f64();
            Figure::measured(format!("times as fast as {}", peer.0), times, "", goal)
        };
        vec![
            Figure::measured(
                "line protocol of 10 fields, a core",
                ours.a_core(self.points),
                "points/s",
                Goal::AtLeast(1e6),
            ),
            Figure::measured(
                "allocations of all points together",
                self.allocations as f64,
                "",
                Goal::AtMost(0.0),
            ),
            ratio(&self.runs[1], Goal::AtLeast(5.0)),
            ratio(&self.runs[2], Goal::None),
        ]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "line protocol, {} points of 10 fields", self.points)?;
        for (name, spent) in &self.runs {
            writeln!(
                f,
                "  {name}: {:.2} M points a second of processor time",
                spent.a_core(self.points) / 1e6
            )?;
        }
        self.figures().iter().try_for_each(|figure| writeln!(f, "  {figure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_encoders_write_the_same_points_and_ours_allocates_nothing() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { points: 1_000, rounds: 2 }).unwrap();
        assert_eq!((answer.allocations, answer.runs.len()), (0, 3));
    }
}
