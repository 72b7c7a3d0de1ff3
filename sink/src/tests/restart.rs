//! Whatever happens between writing and committing, every record counts once.

use std::sync::Arc;
use std::time::Duration;

use control::shutdown::{self, Shutdown};
use log::EmbeddedLog;
use model::topic::STOCK_PRICES;
use store::EmbeddedStore;

use super::{Folder, bar, bar_record, catch_up, clock_record, row_record};

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
    killed.write_behind().await.unwrap();
    assert!(killed.arrived().await.unwrap().is_some());
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
    // One row was emitted; the late bar of B touches three windows.
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
    // Another millisecond than any record of the log before.
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
    assert!(error.to_string().contains("another sink has taken the store over"), "{error}");
    assert!(folder.bars().await.is_empty());
    assert!(folder.sink_under(Some(first)).await.is_err(), "it does not come back under its number");
    next.read(Duration::ZERO).await.unwrap();
    // Paused, or without Kafka, for longer than a session: another may have taken over.
    certain.store(false, SeqCst);
    assert!(next.flush().await.is_err() && folder.bars().await.is_empty());
    let mut third = folder.sink_under(Some(held(9).0)).await.unwrap();
    catch_up(&mut third).await;
    assert_eq!(folder.bars().await.len(), 3);
}
