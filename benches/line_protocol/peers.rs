//! The same points by others.

use anyhow::Context;
use influxdb_line_protocol::builder::{AfterField, LineProtocolBuilder};
use influxdb_line_protocol::{ParsedLine, parse_lines};
use influxdb2::models::{DataPoint, WriteDataPoint};
use model::schema::Value;
use store::{Measurement, Point};

/// Writes points as lines.
type Encode = fn(&Measurement, &[Point], &mut Vec<u8>) -> anyhow::Result<()>;

/// Those that there are, by name.
pub const ALL: [(&str, Encode); 2] =
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
pub fn check_same(ours: &str, theirs: &str) -> anyhow::Result<()> {
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
