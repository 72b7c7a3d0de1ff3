//! Points that the store will never take: each becomes a dead letter with the
//! store's reason, or is counted where it is only too old.

use log::Append;
use model::DeadLetter;
use model::time;
use store::{Measurement, Point, RejectedPoint};

use crate::gathered::Points;
use crate::progress::Counts;

/// The dead letters of what was rejected among `points`, which is counted.
pub(crate) fn letters(rejected: Vec<RejectedPoint>, points: &Points, counts: &mut Counts) -> Vec<Append> {
    let (too_old, bad): (Vec<_>, Vec<_>) = rejected.into_iter().partition(|point| point.past_retention);
    if let Some(first) = too_old.first() {
        counts.too_old += too_old.len() as u64;
        tracing::warn!(
            points = too_old.len(),
            "Points are older than the store keeps any, and were left out: {}. To have them, raise influxdb.retention, run `tickwire init`, then `tickwire recompute` or read the log from its start.",
            first.reason
        );
    }
    counts.rejected += bad.len() as u64;
    let letter = |rejected: RejectedPoint| {
        let (measurement, points) = points.get(rejected.group)?;
        let event = as_json(measurement, points.get(rejected.point)?);
        let source = format!("store:{}", measurement.name);
        Some(DeadLetter::new(source, rejected.reason, event.as_bytes(), time::now()).to_append())
    };
    bad.into_iter().filter_map(letter).collect()
}

/// A point as an object of its columns.
fn as_json(measurement: &Measurement, point: &Point) -> String {
    let values = measurement.columns.iter().zip(&point.values);
    let object: serde_json::Map<_, _> =
        values.map(|(column, value)| (column.name.clone(), value.to_json())).collect();
    serde_json::Value::Object(object).to_string()
}
