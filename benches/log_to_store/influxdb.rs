//! The sink before a real InfluxDB, beside a loader that does nothing but send the
//! same lines, and a writer that sends one point at a time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use control::shutdown::{self, Shutdown};
use net::Secret;
use store::line_protocol::{Layout, Lines};
use store::{InfluxAddress, InfluxStore, Measurement, Point};
use testkit::influxd::{Influxd, ORG};

use super::{PLAYED, Place, records};
use crate::figures::{self, Figure, Goal, Spent, Stopwatch};

/// Points of a request, as the sink has it.
const BATCH: usize = 10_000;
/// Points that are sent one at a time.
const SINGLE: usize = 1_000;

/// What came out.
pub struct Stored {
    bars: usize,
    sink: Spent,
    /// Processor time of influxd meanwhile.
    server: Duration,
    loader: Spent,
    single: Spent,
}

/// All three, each into a bucket of its own.
pub fn run(place: &Place, server: &Influxd, bars: usize) -> anyhow::Result<Stored> {
    let bucket = || place.outside.block_on(server.bucket(None));
    let bodies = bodies(bars)?;
    // The first to write pays for what the server sets up.
    load(place, server, &bucket(), &bodies[..1])?;
    let loader = load(place, server, &bucket(), &bodies)?;
    let (sink, server_used) = sink(place, server, &bucket(), bars)?;
    let lines: Vec<String> = bodies[0].lines().take(SINGLE).map(str::to_owned).collect();
    let single = load(place, server, &bucket(), &lines)?;
    Ok(Stored { bars, sink, server: server_used, loader, single })
}

/// The lines of all bars, in the sink's batches.
fn bodies(bars: usize) -> anyhow::Result<Vec<String>> {
    let layout = Layout::new(Arc::new(Measurement::bars()));
    let mut lines = Lines::default();
    let points: Vec<Point> = records::all(bars).map(|bar| Point::bar(&bar)).collect();
    let mut bodies = Vec::new();
    for batch in points.chunks(BATCH) {
        lines.clear();
        batch.iter().try_for_each(|point| lines.push(&layout, point))?;
        bodies.push(lines.text().to_owned());
    }
    Ok(bodies)
}

/// Sends one body after the other.
fn load(place: &Place, server: &Influxd, bucket: &str, bodies: &[String]) -> anyhow::Result<Spent> {
    let http = net::http()?;
    let url = format!("{}/api/v2/write?org={ORG}&bucket={bucket}&precision=ns", server.url);
    let watch = Stopwatch::without(PLAYED)?;
    place.product.block_on(async {
        for body in bodies {
            let request = http.post(&url).header("authorization", format!("Token {}", server.token));
            let answer = request.body(body.clone()).send().await?;
            ensure!(answer.status().is_success(), "influxd answers {}", answer.status());
        }
        Ok(())
    })?;
    watch.stop()
}

fn sink(place: &Place, server: &Influxd, bucket: &str, bars: usize) -> anyhow::Result<(Spent, Duration)> {
    let log = records::fill(place, "-stored", bars)?;
    let store = InfluxStore::new(InfluxAddress {
        url: server.url.parse()?,
        org: ORG.into(),
        bucket: bucket.to_owned(),
        token: Secret::new(&server.token),
    })?;
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    let (watch, used) = (Stopwatch::without(PLAYED)?, figures::processor_time_of(server.process())?);
    place.product.block_on(sink::run(log, Arc::new(store), Vec::new(), stop))?;
    let (spent, used) = (watch.stop()?, figures::processor_time_of(server.process())?.saturating_sub(used));
    let flux = format!(
        "from(bucket: \"{bucket}\") |> range(start: 0) |> filter(fn: (r) => r._measurement == \"stock_prices\" and r._field == \"close\") |> group() |> count()"
    );
    let count = place.outside.block_on(server.query(&flux));
    let held = count.lines().nth(1).and_then(|line| line.rsplit(',').next()).context("no count")?;
    ensure!(held.trim() == bars.to_string(), "influxd holds {held} points of {bars}");
    Ok((spent, used))
}

impl Stored {
    pub fn figures(&self) -> Vec<Figure> {
        let (ours, bare) = (self.sink.a_second(self.bars), self.loader.a_second(self.bars));
        let single = self.single.a_second(SINGLE);
        let share = self.sink.processor.as_secs_f64() / self.server.as_secs_f64();
        vec![
            Figure::measured("Kafka to InfluxDB, by the clock", ours, "points/s", Goal::None),
            Figure::measured("of what a bare loader reaches", 100.0 * ours / bare, "%", Goal::AtLeast(95.0)),
            Figure::measured(
                "the sink's processor time, of influxd's",
                100.0 * share,
                "%",
                Goal::AtMost(10.0),
            ),
            Figure::measured("times as fast as one point a request", ours / single, "", Goal::AtLeast(80.0)),
        ]
    }
}
