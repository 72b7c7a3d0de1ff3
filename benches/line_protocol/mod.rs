//! How fast do points become line protocol, beside two encoders of others?

use std::fmt;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use influxdb_line_protocol::builder::{AfterField, LineProtocolBuilder};
use influxdb_line_protocol::{ParsedLine, parse_lines};
use influxdb2::models::{DataPoint, WriteDataPoint};
use model::schema::{Column, ColumnType, Value};
use store::line_protocol::{Layout, Lines};
use store::{Measurement, Point};

use crate::Answer as _;
use crate::figures::{Figure, Goal, Spent, Stopwatch};

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
    for (name, peer) in ALL {
        text.clear();
        peer(&shape, &points, &mut text)?;
        check_same(lines.text(), std::str::from_utf8(&text)?)
            .map_err(|error| error.context(format!("{name} writes something else")))?;
    }
    let mut again = Ok(());
    let counted = allocation_counter::measure(|| again = encode(&layout, &points, &mut lines));
    again?;
    let ours = rounds(wanted, || encode(&layout, &points, &mut lines))?;
    let mut runs = vec![("tickwire", ours)];
    for (name, peer) in ALL {
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

// The same points by others.

/// Writes points as lines.
type Encode = fn(&Measurement, &[Point], &mut Vec<u8>) -> anyhow::Result<()>;

/// Those that there are, by name.
const ALL: [(&str, Encode); 2] =
    [("influxdb2's DataPoint", data_points), ("influxdb-line-protocol's builder", builder)];

/// The first column is the tag, the second the time.
const FIELDS: usize = 2;

fn data_points(shape: &Measurement, points: &[Point], text: &mut Vec<u8>) -> anyhow::Result<()> {
    for point in points {
        let mut built = DataPoint::builder(shape.name.as_str()).timestamp(nanos(point)?);
        built = built.tag("symbol", symbol(point)?);
        for (column, value) in shape.columns.iter().zip(&point.values).skip(FIELDS) {
            let name = column.name.as_str();
            built = match value {
                Value::Float(value) => built.field(name, *value),
                Value::Int(value) => built.field(name, *value),
                Value::Bool(value) => built.field(name, *value),
                Value::Text(value) => built.field(name, value.as_str()),
                Value::Null => built,
            };
        }
        built.build()?.write_data_point_to(&mut *text)?;
    }
    Ok(())
}

fn builder(shape: &Measurement, points: &[Point], text: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut lines = LineProtocolBuilder::new_with(std::mem::take(text));
    for point in points {
        let begun = lines.measurement(&shape.name).tag("symbol", symbol(point)?);
        let mut fields = shape.columns.iter().zip(&point.values).skip(FIELDS);
        let (column, value) = fields.next().context("a point has a field")?;
        let mut line = begun.field(&column.name, value.as_f64().context("the first field is a number")?);
        for (column, value) in fields {
            line = with_field(line, &column.name, value);
        }
        lines = line.timestamp(nanos(point)?).close_line();
    }
    *text = lines.build();
    Ok(())
}

type Line = LineProtocolBuilder<Vec<u8>, AfterField>;

fn with_field(line: Line, name: &str, value: &Value) -> Line {
    match value {
        Value::Float(value) => line.field(name, *value),
        Value::Int(value) => line.field(name, *value),
        Value::Bool(value) => line.field(name, *value),
        Value::Text(value) => line.field(name, value.as_str()),
        Value::Null => line,
    }
}

fn symbol(point: &Point) -> anyhow::Result<&str> {
    point.values[0].as_str().context("the tag is a text")
}

fn nanos(point: &Point) -> anyhow::Result<i64> {
    Ok(point.values[1].as_i64().context("the time is a number")? * 1_000_000)
}

/// That two texts hold the same points, in whatever order their fields stand.
fn check_same(ours: &str, theirs: &str) -> anyhow::Result<()> {
    let (mut ours, mut theirs) = (parse_lines(ours), parse_lines(theirs));
    loop {
        match (ours.next().transpose()?, theirs.next().transpose()?) {
            (None, None) => return Ok(()),
            (Some(ours), Some(theirs)) if is_same(&ours, &theirs) => {}
            (ours, theirs) => anyhow::bail!("{ours:?} is not {theirs:?}"),
        }
    }
}

fn is_same(ours: &ParsedLine<'_>, theirs: &ParsedLine<'_>) -> bool {
    let field = |(name, value): &(influxdb_line_protocol::EscapedStr<'_>, _)| {
        theirs.field_value(name.as_str()) == Some(value)
    };
    ours.series.measurement == theirs.series.measurement
        && ours.tag_value("symbol") == theirs.tag_value("symbol")
        && ours.timestamp == theirs.timestamp
        && ours.field_set.len() == theirs.field_set.len()
        && ours.field_set.iter().all(field)
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
