//! The same bars, the usual way: the whole frame as a tree of JSON first.

use anyhow::Context;
use model::time::{MINUTE, Millis};
use model::{Bar, Source};
use serde_json::Value;

/// The minute bars of a frame, checked.
pub fn bars(frame: &str, received: Millis) -> anyhow::Result<Vec<Bar>> {
    let events: Value = serde_json::from_str(frame)?;
    let events = events.as_array().context("a frame is an array")?;
    events.iter().filter(|event| event["ev"] == "AM").map(|event| bar(event, received)).collect()
}

fn bar(event: &Value, received: Millis) -> anyhow::Result<Bar> {
    let number = |name: &str| event[name].as_f64().with_context(|| format!("no `{name}`"));
    let start = number("s")? as Millis;
    let bar = Bar {
        symbol: event["sym"].as_str().context("no `sym`")?.to_owned(),
        open: number("o")?,
        high: number("h")?,
        low: number("l")?,
        close: number("c")?,
        vwap: event["vw"].as_f64(),
        volume: number("v")?,
        accumulated_volume: event["av"].as_f64(),
        official_open_price: event["op"].as_f64(),
        aggregate_vwap: event["a"].as_f64(),
        average_size: event["z"].as_f64(),
        start_timestamp: start,
        end_timestamp: event["e"].as_f64().map_or(start + MINUTE, |end| end as Millis),
        otc: event["otc"].as_bool(),
        source: Source::Polygon,
        received_timestamp: received,
        complete_until: 0,
        position: None,
    };
    bar.check()?;
    Ok(bar)
}
