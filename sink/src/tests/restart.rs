//! Tests that every record counts once, whatever happens between writing and committing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use control::shutdown::{self, Shutdown};
use log::{EmbeddedLog, Log, SharedLog};
use model::DeadLetter;
use model::service::Service;
use model::status::ServiceStatus;
use model::time::HOUR;
use model::topic::{DEAD_LETTERS, STOCK_PRICES};
use net::Secret;
use store::{EmbeddedStore, InfluxAddress, InfluxStore, Query, SharedStore};
use testkit::influxd::{Influxd, ORG};
use testkit::scripted_influxdb::{Answer, ScriptedInfluxdb};

use super::{Folder, Sums, bar, bar_record, catch_up, clock_record, row_record, totals};
use crate::delivery::{Delivery, Waits};
use crate::pipeline::Status;
use crate::sink::Sink;

async fn some_records(folder: &Folder) {
    let bars = [bar("A", 10, 1.0, 10), bar("A", 11, 1.0, 11), bar("B", 10, 2.0, 11)];
    folder.append(bars.iter().map(bar_record).collect()).await;
    folder.append(vec![row_record("A", 8, 1, 1.0), clock_record(20)]).await;
}

#[tokio::test]
async fn a_kill_between_writing_and_committing_changes_nothing() {
    let folder = Folder::new();
    some_records(&folder).await;
    let mut killed = folder.sink().await;
    killed.read(Duration::ZERO).await.unwrap();
    killed.start_write().await.unwrap();
    assert!(killed.finish_write().await.unwrap().is_some());
    let noted = killed.progress.clone();
    let (bars, totals) = (folder.bars().await, folder.totals().await);
    drop(killed);
    assert!(folder.log.committed("sink").await.unwrap().is_empty());

    let mut next = folder.sink_caught_up().await;
    assert_eq!(next.progress, noted, "nothing counts twice");
    assert_eq!((folder.bars().await, folder.totals().await), (bars, totals));
    folder.append(vec![bar_record(&bar("C", 21, 1.0, 21))]).await;
    catch_up(&mut next).await;
    assert_eq!(next.progress.counts.points, noted.counts.points + 1);
    assert_eq!(folder.bars().await.len(), 4);
}

#[tokio::test]
async fn a_kill_before_writing_loses_nothing() {
    let folder = Folder::new();
    some_records(&folder).await;
    let mut killed = folder.sink().await;
    killed.read(Duration::ZERO).await.unwrap();
    drop(killed);
    assert!(folder.bars().await.is_empty());
    folder.drain().await;
    // One row was emitted; the late bar of B belongs to three windows.
    assert_eq!((folder.bars().await.len(), folder.totals().await.len()), (3, 4));
}

#[tokio::test]
async fn a_running_sink_follows_the_log_and_stops_with_everything_committed() {
    let folder = Folder::new();
    let (stopper, stop) = shutdown::channel();
    let sink = folder.sink().await;
    let running = tokio::spawn(async move {
        sink.run(Duration::from_millis(1), control::recompute::channel().1, &stop).await
    });
    some_records(&folder).await;
    while folder.log.committed("sink").await.unwrap().iter().map(|at| at.offset).sum::<u64>() < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(folder.bars().await.len(), 3);
    stopper.ask(Shutdown::Stop);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_store_beside_another_log_reads_that_log_from_its_start() {
    let mut folder = Folder::new();
    some_records(&folder).await;
    folder.drain().await;
    folder.log = Arc::new(EmbeddedLog::open(&folder.path.path().join("other.db"), 1).unwrap());
    folder.append(vec![bar_record(&bar("Z", 1, 1.0, 1))]).await;
    let sink = folder.sink_caught_up().await;
    assert_eq!(folder.bars().await.len(), 4);
    assert_eq!(sink.progress.place(&STOCK_PRICES, 0).next, 1);
    assert_eq!(sink.progress.counts.late, 1, "the one before the change");
}

#[tokio::test]
async fn another_log_that_is_not_shorter_is_noticed_and_read_from_its_start() {
    let mut folder = Folder::new();
    some_records(&folder).await;
    folder.drain().await;
    let rows = folder.totals().await;
    folder.log = Arc::new(EmbeddedLog::open(&folder.path.path().join("other.db"), 1).unwrap());
    let bars: Vec<_> = (0..10).map(|n| bar_record(&bar("Z", 30 + n, 1.0, 30 + n))).collect();
    folder.append(bars).await;
    folder.append((0..10).map(|start| row_record("Z", start, 1, 1.0)).collect()).await;
    folder.drain().await;
    assert_eq!(folder.bars().await.len(), 3 + 10, "none of the new log is passed over");
    assert_eq!(folder.totals().await.len(), rows.len() + 10);
    folder.drain().await;
    let sink = folder.sink_caught_up().await;
    assert_eq!(sink.progress.place(&STOCK_PRICES, 0).next, 10, "and only once");
}

#[tokio::test]
async fn a_store_that_was_lost_or_put_back_from_a_copy_is_filled_again_from_the_log() {
    let mut folder = Folder::new();
    some_records(&folder).await;
    folder.drain().await;
    let (bars, totals) = (folder.bars().await, folder.totals().await);
    folder.store = Arc::new(EmbeddedStore::open(&folder.path.path().join("empty.db")).unwrap());
    folder.drain().await;
    assert_eq!((folder.bars().await, folder.totals().await), (bars, totals));
}

#[tokio::test]
async fn a_log_made_anew_is_noticed_also_where_it_is_longer_than_what_was_read() {
    let mut folder = Folder::new();
    some_records(&folder).await;
    folder.drain().await;
    let read = folder.bars().await.len();
    folder.log = Arc::new(EmbeddedLog::open(&folder.path.path().join("other.db"), 1).unwrap());
    // In another millisecond than any record of the earlier log.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let others = (1..40).map(|minute| bar_record(&bar("Z", minute, 1.0, minute)));
    folder.append(others.collect()).await;
    folder.drain().await;
    assert_eq!(folder.bars().await.len(), read + 39, "none of the new records is taken for an old one");
}

#[tokio::test]
async fn what_retention_deletes_before_it_is_stored_is_counted_and_recorded_as_a_gap() {
    let mut folder = Folder::new();
    let log = Arc::new(EmbeddedLog::open(&folder.path.path().join("own.db"), 1).unwrap());
    folder.log = log.clone();
    folder.append(vec![bar_record(&bar("A", 10, 1.0, 10)), clock_record(11)]).await;
    folder.drain().await;
    folder.append((11..30).map(|minute| bar_record(&bar("A", minute, 1.0, minute))).collect()).await;
    log.trim(model::time::now() + model::time::DAY).await.unwrap();
    let sink = folder.sink_caught_up().await;
    assert_eq!(sink.progress.counts.skipped, 18);
    let gaps = folder.log.read(&model::topic::GAPS, 0, 0, 10).await.unwrap();
    let gaps: Vec<model::Gap> = gaps.iter().map(|gap| serde_json::from_slice(&gap.value).unwrap()).collect();
    assert_eq!(gaps.len(), 1);
    let minute = model::time::MINUTE;
    assert_eq!((gaps[0].symbol.as_str(), gaps[0].from, gaps[0].to), ("*", 11 * minute, 29 * minute));
    assert!(gaps[0].reason.contains("deleted by retention"), "{}", gaps[0].reason);
}

#[tokio::test]
async fn what_a_sink_holds_that_was_taken_over_from_is_dropped() {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use log::Fence;

    let folder = Folder::new();
    some_records(&folder).await;
    let held = |number| {
        let certain = Arc::new(AtomicBool::new(true));
        let says = certain.clone();
        (Fence::new(number, move || says.load(SeqCst)), certain)
    };
    let (first, _) = held(7);
    let mut paused = folder.sink_under(Some(first.clone())).await.unwrap();
    paused.read(Duration::ZERO).await.unwrap();
    let (second, certain) = held(8);
    let mut next = folder.sink_under(Some(second)).await.unwrap();
    let error = paused.flush().await.unwrap_err();
    assert!(error.to_string().contains("another sink has taken over the store"), "{error}");
    assert!(folder.bars().await.is_empty());
    assert!(folder.sink_under(Some(first)).await.is_err(), "it does not come back under its number");
    next.read(Duration::ZERO).await.unwrap();
    // After a pause or an outage of Kafka that is longer than a session, another process may
    // have taken over.
    certain.store(false, SeqCst);
    assert!(next.flush().await.is_err() && folder.bars().await.is_empty());
    let mut third = folder.sink_under(Some(held(9).0)).await.unwrap();
    catch_up(&mut third).await;
    assert_eq!(folder.bars().await.len(), 3);
}

// Delivery: whatever the store answers, every record becomes a point, a dead letter, or a count
// of points older than the retention, and no offset is committed before that.

const QUICK: Waits = Waits {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(5),
    hold: Duration::from_millis(5),
};

/// The number of bars.
const BARS: i64 = 40;

/// A log with bars, and a store behind a proxy that can fail.
struct Sandbox {
    door: ScriptedInfluxdb,
    server: &'static Influxd,
    bucket: String,
    log: SharedLog,
    _folder: tempfile::TempDir,
}

impl Sandbox {
    /// `None`, with a message, if no server is available.
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

    /// Runs a sink through the proxy to the end of the log.
    async fn drain(&self) {
        let (stopper, stop) = shutdown::channel();
        stopper.ask(Shutdown::Drain);
        let status = Status::new(self.log.clone());
        let delivery = Arc::new(Delivery::new(self.store(&self.door.url), status, QUICK, stop.clone()));
        let sink = Sink::open(self.log.clone(), delivery, vec![totals()], Box::new(Sums(Arc::default())));
        let sink = sink.await.unwrap();
        sink.run(Duration::from_secs(3_600), control::recompute::channel().1, &stop).await.unwrap();
    }

    /// The volumes of the stored bars, which are their numbers.
    async fn stored(&self) -> Vec<i64> {
        let query = Query { measurement: "stock_prices".into(), ..Query::default() };
        let bars = self.store(&self.server.url).read(&query).await.unwrap().to_bars().unwrap();
        bars.iter().map(|bar| bar.volume as i64).collect()
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        let records = self.log.read(&DEAD_LETTERS, 0, 0, 1_000).await.unwrap();
        records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
    }

    /// The number of records that a new sink would read.
    async fn uncommitted(&self) -> usize {
        let mut reader = self.log.reader("sink", &[STOCK_PRICES]).await.unwrap();
        reader.poll(1_000, Duration::ZERO).await.unwrap().len()
    }

    async fn said(&self) -> ServiceStatus {
        control::status::last(&*self.log, Service::Sink).await.unwrap().unwrap()
    }

    /// Checks that every bar is stored once, and committed.
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
    // The notes are written after the points, and may fail on their own.
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
            // The definitions, then the same batch repeatedly.
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
