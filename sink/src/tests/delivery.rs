//! Whatever the store answers, every record ends as a point, a dead letter or a
//! count of what is too old; and none is passed over before it is acknowledged.

use model::service::Service;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::shutdown::{self, Shutdown};
use log::{EmbeddedLog, Log, SharedLog};
use model::DeadLetter;
use model::status::ServiceStatus;
use model::time::HOUR;
use model::topic::{DEAD_LETTERS, STOCK_PRICES};
use net::Secret;
use store::{InfluxAddress, InfluxStore, Query, SharedStore};
use testkit::influxd::{Influxd, ORG};
use testkit::scripted_influxdb::{Answer, ScriptedInfluxdb};

use super::{Sums, bar, bar_record, totals};
use crate::delivery::{Delivery, Waits};
use crate::sink::Sink;
use crate::status::Status;

const QUICK: Waits = Waits {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(5),
    hold: Duration::from_millis(5),
};

/// How many bars there are.
const BARS: i64 = 40;

/// A log with bars, and a store behind a door.
struct Sandbox {
    door: ScriptedInfluxdb,
    server: &'static Influxd,
    bucket: String,
    log: SharedLog,
    _folder: tempfile::TempDir,
}

impl Sandbox {
    /// `None` where there is no server, which is said.
    async fn make(retention: Option<Duration>) -> Option<Sandbox> {
        let server = Influxd::shared().await?;
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let now = model::time::now() / 60_000;
        let bars = (0..BARS).map(|n| bar_record(&bar("A", now + n, n as f64, now + n)));
        log.append(bars.collect()).await.unwrap();
        let (door, bucket) = (ScriptedInfluxdb::before(server).await, server.bucket(retention).await);
        Some(Sandbox { door, server, bucket, log, _folder: folder })
    }

    fn store(&self, url: &str) -> SharedStore {
        Arc::new(
            InfluxStore::new(InfluxAddress {
                url: url.parse().unwrap(),
                org: ORG.into(),
                bucket: self.bucket.clone(),
                token: Secret::new(&self.server.token),
            })
            .unwrap(),
        )
    }

    /// A sink's life behind the door, to the end of the log.
    async fn drain(&self) {
        let (stopper, stop) = shutdown::channel();
        stopper.ask(Shutdown::Drain);
        let status = Status::new(self.log.clone());
        let delivery = Arc::new(Delivery::new(self.store(&self.door.url), status, QUICK, stop.clone()));
        let sink = Sink::open(self.log.clone(), delivery, vec![totals()], Box::new(Sums(Arc::default())));
        let sink = sink.await.unwrap();
        sink.run(Duration::from_secs(3_600), control::recompute::channel().1, &stop).await.unwrap();
    }

    /// The volumes of the stored bars, which number them.
    async fn stored(&self) -> Vec<i64> {
        let query = Query { measurement: "stock_prices".into(), ..Query::default() };
        let bars = self.store(&self.server.url).read(&query).await.unwrap().to_bars().unwrap();
        bars.iter().map(|bar| bar.volume as i64).collect()
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        let records = self.log.read(&DEAD_LETTERS, 0, 0, 1_000).await.unwrap();
        records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
    }

    /// How many records a sink that starts now would read.
    async fn uncommitted(&self) -> usize {
        let mut reader = self.log.reader("sink", &[STOCK_PRICES]).await.unwrap();
        reader.poll(1_000, Duration::ZERO).await.unwrap().len()
    }

    async fn said(&self) -> ServiceStatus {
        control::status::last(&*self.log, Service::Sink).await.unwrap().unwrap()
    }

    /// Every bar is stored, once, and committed.
    async fn all_arrived(&self) {
        assert_eq!(self.stored().await, (0..BARS).collect::<Vec<_>>());
        assert_eq!(self.uncommitted().await, 0);
        assert_eq!(self.letters().await, []);
    }
}

#[tokio::test]
async fn overload_outages_and_lost_acknowledgements_pass_and_every_bar_arrives_once() {
    let Some(sandbox) = Sandbox::make(None).await else { return };
    sandbox.door.next(
        "stock_prices",
        [
            Answer::status(503, "busy"),
            Answer::CutOff,
            Answer::status(500, "trouble"),
            Answer::Lost,
            Answer::status(429, "slow down"),
        ],
    );
    // The notes come after the points, and may fail by themselves.
    sandbox.door.next("tickwire_notes", [Answer::CutOff, Answer::Lost]);
    sandbox.drain().await;
    sandbox.all_arrived().await;
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_it() {
    let Some(sandbox) = Sandbox::make(None).await else { return };
    let busy = Answer::Status { status: 429, message: "slow down", retry_after: Some(1) };
    sandbox.door.next("stock_prices", [busy]);
    let began = Instant::now();
    sandbox.drain().await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    sandbox.all_arrived().await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_split_until_it_is_taken() {
    let Some(sandbox) = Sandbox::make(None).await else { return };
    sandbox.door.take_at_most(3);
    sandbox.drain().await;
    sandbox.all_arrived().await;
    assert!(sandbox.door.writes().iter().filter(|lines| **lines <= 3).count() >= 14);
}

#[tokio::test]
async fn a_bad_point_is_found_and_kept_as_a_dead_letter_and_all_others_arrive() {
    let Some(sandbox) = Sandbox::make(None).await else { return };
    sandbox.door.refuse_lines_with("volume=7.0,", Answer::status(422, "field type conflict"));
    sandbox.door.refuse_lines_with("volume=23.0,", Answer::status(400, "cannot be parsed"));
    sandbox.drain().await;
    assert_eq!(sandbox.stored().await, (0..BARS).filter(|n| ![7, 23].contains(n)).collect::<Vec<_>>());
    assert_eq!(sandbox.uncommitted().await, 0);
    let letters = sandbox.letters().await;
    let said: Vec<_> =
        letters.iter().map(|letter| (letter.source.as_str(), letter.reason.as_str())).collect();
    assert_eq!(
        said,
        [("store:stock_prices", "field type conflict"), ("store:stock_prices", "cannot be parsed")]
    );
    assert!(letters[0].event.contains("\"volume\":7.0"), "{}", letters[0].event);
    assert_eq!(sandbox.said().await.counts["rejected"], 2);
}

#[tokio::test]
async fn a_refusal_that_somebody_must_mend_holds_everything_and_loses_nothing() {
    for status in [401, 403, 404] {
        let Some(sandbox) = Sandbox::make(None).await else { return };
        sandbox.door.refuse_all(Answer::status(status, "not like this"));
        let held = async {
            // The definitions, then the same again and again.
            sandbox.door.written(4).await;
            let said = sandbox.said().await.state.to_string();
            assert!(said.starts_with("holding: ") && said.contains("not like this"), "{said}");
            assert_eq!(sandbox.uncommitted().await, BARS as usize);
            sandbox.door.mend();
        };
        tokio::join!(sandbox.drain(), held);
        sandbox.all_arrived().await;
    }
}

#[tokio::test]
async fn points_older_than_the_store_keeps_any_are_counted_apart_and_are_no_dead_letters() {
    let Some(sandbox) = Sandbox::make(Some(Duration::from_secs(24 * 3_600))).await else { return };
    let before = (model::time::now() - 72 * HOUR) / 60_000;
    let old = (0..5).map(|n| bar_record(&bar("OLD", before + n, 100.0, before)));
    sandbox.log.append(old.collect()).await.unwrap();
    sandbox.drain().await;
    assert_eq!(sandbox.stored().await.len() as i64, BARS);
    assert_eq!(sandbox.letters().await, []);
    let counts = sandbox.said().await.counts;
    assert_eq!((counts["too_old"], counts["rejected"]), (5, 0));
    assert_eq!(sandbox.uncommitted().await, 0);
}

#[tokio::test]
async fn a_sink_that_is_stopped_while_it_waits_ends_and_the_next_one_goes_on() {
    let Some(sandbox) = Sandbox::make(None).await else { return };
    sandbox.door.refuse_all(Answer::status(503, "away"));
    let (stopper, stop) = shutdown::channel();
    let running = crate::run(sandbox.log.clone(), sandbox.store(&sandbox.door.url), Vec::new(), stop);
    let stopped = async {
        sandbox.door.written(1).await;
        stopper.ask(Shutdown::Stop);
    };
    let (ended, ()) = tokio::join!(running, stopped);
    ended.unwrap();
    assert_eq!(sandbox.uncommitted().await, BARS as usize);
    sandbox.door.mend();
    sandbox.drain().await;
    sandbox.all_arrived().await;
}
