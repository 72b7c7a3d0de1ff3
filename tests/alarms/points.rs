//! That each alarm of Grafana fires: statuses as services say them go through the real
//! sink into a real InfluxDB, and the queries of the rules are asked of it.

use model::service::Activity;
use std::collections::BTreeMap;
use std::sync::Arc;

use control::shutdown::{self, Shutdown};
use log::{EmbeddedLog, SharedLog};
use model::status::{EntryState, JobState, ServiceStatus};
use model::time::{self, MINUTE, Millis, SECOND};
use store::{InfluxAddress, InfluxStore};
use testkit::influxd::Influxd;

use crate::description::{Points, Take, alarms};

/// Statuses lie a little ahead, so that what the sink says of itself meanwhile is older.
const AHEAD: Millis = 30 * SECOND;

/// A bucket with the points of `said`: what is said at one time is written by a sink
/// that then ends, because the log keeps only the last status of each service.
async fn stored(server: &Influxd, said: Vec<Vec<ServiceStatus>>) -> String {
    let bucket = server.bucket(None).await;
    let folder = tempfile::tempdir().unwrap();
    let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
    for said in said {
        log.append(said.iter().map(ServiceStatus::to_append).collect()).await.unwrap();
        let address = InfluxAddress {
            url: server.url.parse().unwrap(),
            org: "tickwire".into(),
            bucket: bucket.clone(),
            token: net::Secret::new(&server.token),
        };
        let (stopper, stop) = shutdown::channel();
        stopper.ask(Shutdown::Drain);
        let store = Arc::new(InfluxStore::new(address).unwrap());
        sink::run(log.clone(), store, engine::Job::all().unwrap(), stop).await.unwrap();
    }
    bucket
}

/// The values that a rule's query yields, oldest first, of each service and figure.
async fn values(server: &Influxd, bucket: &str, points: &Points) -> Vec<Vec<f64>> {
    let stop = time::now() + MINUTE;
    let from = stop - MINUTE - Millis::from(points.minutes) * MINUTE;
    let flux = points
        .flux()
        .join("\n")
        .replace("v.defaultBucket", &format!("\"{bucket}\""))
        .replace("v.timeRangeStart", &time::rfc3339(from))
        .replace("v.timeRangeStop", &time::rfc3339(stop));
    let answer = server.query(&flux).await;
    let mut series: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    let mut head: Vec<String> = Vec::new();
    for line in answer.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let cells: Vec<_> = line.split(',').map(str::to_owned).collect();
        if line.starts_with(",result,") {
            head = cells;
            continue;
        }
        let cell = |name: &str| cells[head.iter().position(|column| column == name).unwrap()].clone();
        let name = format!("{} {}", cell("service"), cell("figure"));
        series.entry(name).or_default().push((cell("_time"), cell("_value").parse().unwrap()));
    }
    let in_order = |mut values: Vec<(String, f64)>| {
        values.sort_by(|one, other| one.0.cmp(&other.0));
        values.into_iter().map(|(_, value)| value).collect()
    };
    series.into_values().map(in_order).collect()
}

/// The alarms that fire over a bucket.
async fn fired(server: &Influxd, bucket: &str) -> Vec<String> {
    let mut fired = Vec::new();
    for alarm in alarms() {
        let Some(points) = &alarm.points else { continue };
        let series = values(server, bucket, points).await;
        let is_cause = series.iter().any(|values| points.fires(values));
        if is_cause || series.is_empty() && points.silence {
            fired.push(alarm.name);
        }
    }
    fired
}

fn status(service: &str, state: &str, counts: &[(&str, u64)]) -> ServiceStatus {
    ServiceStatus {
        service: service.into(),
        at: time::now() + AHEAD,
        state: Activity::of_text(state),
        counts: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        ..ServiceStatus::default()
    }
}

/// What all services say, with lags of so long, entries and jobs in these states.
fn said(lag: Millis, state: &str, entry: &str, job: &str, counts: [u64; 4]) -> Vec<ServiceStatus> {
    let now = time::now() + AHEAD;
    let [letters, gaps, unread, free] = counts;
    let live = |service: &str, counts: &[(&str, u64)]| ServiceStatus {
        watermark: Some(now - lag),
        planned_lag: Some(5 * SECOND),
        entries: vec![EntryState {
            state: entry.into(),
            failing: entry.starts_with("failing"),
            ..EntryState::default()
        }],
        ..status(service, state, counts)
    };
    let job = JobState {
        name: "volatility".into(),
        state: job.into(),
        restarts: 0,
        last_checkpoint: Some(now - lag),
    };
    let sink = status("sink", "running", &[("unread", unread), ("disk_free_percent", free)]);
    vec![
        live("producer", &[("rejected", letters), ("gaps", gaps)]),
        live("news-watcher", &[("rejected", 0)]),
        ServiceStatus { jobs: vec![job], ..status("engine", state, &[]) },
        status("alerts-webhook", state, &[]),
        ServiceStatus { price_results_until: Some(now - lag), ..sink },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn over_points_every_alarm_fires_at_its_fault_and_none_while_all_is_well() {
    let Some(server) = Influxd::shared().await else { return };
    let well = said(20 * SECOND, "running", "answered", "Running", [0, 0, 7, 63]);
    let bucket = stored(server, vec![well.clone()]).await;
    assert_eq!(fired(server, &bucket).await, [""; 0]);

    let earlier = well.into_iter().map(|said| ServiceStatus { at: said.at - 3 * MINUTE, ..said }).collect();
    let mut faulty = said(40 * MINUTE, "waiting: refused", "failing: refused", "Failed", [1, 1, 30_000, 7]);
    for said in faulty.iter_mut().filter(|said| said.service == "producer") {
        said.entries[0].symbol = Some("AAPL".to_owned());
    }
    let bucket = stored(server, vec![earlier, faulty]).await;
    let fired_by_faults = fired(server, &bucket).await;
    let bucket = server.bucket(None).await;
    let fired_by_silence = fired(server, &bucket).await;
    for alarm in alarms().into_iter().filter(|alarm| alarm.points.is_some()) {
        // Whether the market is open now is not for a test to choose.
        if alarm.name == "NoBars" {
            continue;
        }
        let of_silence = alarm.points.as_ref().is_some_and(|points| points.take == Take::Count);
        let fired = if of_silence { &fired_by_silence } else { &fired_by_faults };
        assert!(fired.contains(&alarm.name), "{} is not among {fired:?}", alarm.name);
    }
    assert!(fired_by_silence.contains(&"EngineDown".to_owned()), "{fired_by_silence:?}");
    assert!(!fired_by_silence.contains(&"DiskNearlyFull".to_owned()), "{fired_by_silence:?}");
}

#[test]
fn a_silence_of_the_feed_fires_by_its_length() {
    let no_bars = alarms().into_iter().find(|alarm| alarm.name == "NoBars").unwrap().points.unwrap();
    assert!(no_bars.fires(&[0.0, 901.0]) && !no_bars.fires(&[901.0, 899.0]) && !no_bars.fires(&[]));
}
