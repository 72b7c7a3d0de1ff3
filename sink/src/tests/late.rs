//! Tests of late and corrected bars: their windows are recomputed after their own rows have
//! been read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use control::shutdown::{self, Shutdown};
use model::time::MINUTE;
use store::Measurement;
use tokio::sync::Semaphore;

use super::*;
use crate::sink::Due;

/// One bar in time, then one that is late for the windows 8, 9 and 10.
async fn with_a_late_bar() -> Folder {
    let folder = Folder::new();
    let records = [bar("A", 10, 1.0, 10), bar("A", 11, 1.0, 11), bar("A", 10, 5.0, 11)];
    folder.append(records.iter().map(bar_record).collect()).await;
    folder
}

/// The rows of an engine that has ignored the late bar.
async fn emit_uncorrected(folder: &Folder) {
    let rows = [row_record("A", 8, 1, 1.0), row_record("A", 9, 2, 2.0), row_record("A", 10, 2, 2.0)];
    folder.append(rows.into()).await;
}

fn corrected() -> Totals {
    [window("A", 8, 1, 5.0), window("A", 9, 2, 6.0), window("A", 10, 2, 6.0)].into()
}

#[tokio::test]
async fn a_bar_in_the_minute_of_the_watermark_is_in_time() {
    let folder = Folder::new();
    let records =
        [bar("A", 11, 1.0, 11), bar("A", 11, 2.0, 11), bar("B", 12, 1.0, 11), bar("B", 11, 1.0, 11)];
    folder.append(records.iter().map(bar_record).collect()).await;
    let sink = folder.sink_caught_up().await;
    assert_eq!((sink.progress.counts.late, sink.pending.count(&[totals()])), (0, 0));
}

#[tokio::test]
async fn a_touched_window_waits_until_its_own_row_has_been_written() {
    let folder = with_a_late_bar().await;
    folder.append(vec![clock_record(100)]).await;
    let mut sink = folder.sink_caught_up().await;
    assert_eq!((sink.progress.counts.late, sink.pending.count(&[totals()])), (1, 3));
    recompute(&mut sink, Due::Emitted).await;
    assert_eq!(folder.totals().await, Totals::new());

    emit_uncorrected(&folder).await;
    catch_up(&mut sink).await;
    recompute(&mut sink, Due::Emitted).await;
    // The row of window 10 is the latest; other rows of that window may still arrive.
    let mut so_far = corrected();
    so_far.insert(("A".into(), 10), (2, 2.0));
    assert_eq!(folder.totals().await, so_far);
    assert_eq!(sink.pending.count(&[totals()]), 1);

    folder.append(vec![row_record(&model::heartbeat::symbol(0), 11, 3, 0.0)]).await;
    catch_up(&mut sink).await;
    recompute(&mut sink, Due::Emitted).await;
    assert_eq!(folder.totals().await, corrected());
    assert_eq!((sink.progress.counts.recomputed, sink.pending.count(&[totals()])), (3, 0));
}

#[tokio::test]
async fn windows_wait_until_their_bars_are_stored_however_far_the_results_are() {
    let folder = with_a_late_bar().await;
    emit_uncorrected(&folder).await;
    folder.append(vec![row_record(&model::heartbeat::symbol(0), 90, 3, 0.0)]).await;
    let mut sink = folder.sink_caught_up().await;
    // The watermark of the prices is minute 11: windows 8 to 10 end later.
    recompute(&mut sink, Due::Emitted).await;
    recompute(&mut sink, Due::Closed).await;
    assert_eq!(folder.totals().await[&("A".into(), 8)], (1, 5.0));
    assert_eq!(folder.totals().await[&("A".into(), 9)], (2, 2.0));
    assert_eq!(sink.pending.count(&[totals()]), 2);
}

#[tokio::test]
async fn a_row_emitted_again_after_the_recomputation_does_not_have_the_last_word() {
    let folder = with_a_late_bar().await;
    folder.append(vec![clock_record(100)]).await;
    emit_uncorrected(&folder).await;
    folder.drain().await;
    assert_eq!(folder.totals().await, corrected());

    // The engine and the sink restart; the engine repeats the rows that it had not committed.
    emit_uncorrected(&folder).await;
    let mut sink = folder.sink_caught_up().await;
    assert_eq!(folder.totals().await, corrected(), "not even in between");
    assert_eq!(sink.pending.count(&[totals()]), 3);
    recompute(&mut sink, Due::Closed).await;
    assert_eq!(folder.totals().await, corrected());
}

#[tokio::test]
async fn touched_windows_are_still_known_after_a_kill() {
    let folder = with_a_late_bar().await;
    emit_uncorrected(&folder).await;
    drop(folder.sink_caught_up().await);
    folder.append(vec![clock_record(100)]).await;
    folder.drain().await;
    assert_eq!(folder.totals().await, corrected());
    folder.drain().await;
    assert_eq!(folder.calls.load(Ordering::Relaxed), 1, "what is done is not done again");
}

#[tokio::test]
async fn a_window_that_is_open_at_the_end_stays_for_the_next_start() {
    let folder = with_a_late_bar().await;
    folder.drain().await;
    // With a watermark of 11, window 8 is closed; 9 and 10 are open.
    assert_eq!(folder.totals().await, [window("A", 8, 1, 5.0)].into());
    folder.append(vec![clock_record(13)]).await;
    folder.drain().await;
    assert_eq!(folder.totals().await, corrected());
}

#[tokio::test]
async fn an_older_version_that_comes_late_changes_nothing() {
    let folder = Folder::new();
    let newer = Bar { received_timestamp: 20 * MINUTE, ..bar("A", 10, 3.0, 10) };
    folder.append(vec![bar_record(&newer), bar_record(&bar("A", 12, 1.0, 12))]).await;
    folder.append(vec![bar_record(&bar("A", 10, 9.0, 12)), clock_record(60)]).await;
    folder.drain().await;
    assert_eq!(folder.totals().await[&("A".into(), 8)], (1, 3.0));
}

#[tokio::test]
async fn windows_whose_other_bars_are_gone_by_retention_stay_as_they_are() {
    let folder = Folder::new();
    let owner = EmbeddedStore::open(&folder.path.path().join("store.db")).unwrap();
    let records = [bar("A", 9, 1.0, 9), bar("A", 10, 1.0, 10), bar("A", 12, 1.0, 12)];
    folder.append(records.iter().map(bar_record).collect()).await;
    folder.append(vec![row_record("A", 8, 2, 2.0), row_record("A", 10, 2, 2.0)]).await;
    drop(folder.sink_caught_up().await);
    assert_eq!(owner.trim(&Measurement::bars().name, 10 * MINUTE).await.unwrap(), 1);
    folder.append(vec![bar_record(&bar("A", 10, 5.0, 12)), clock_record(60)]).await;
    folder.drain().await;
    let totals = folder.totals().await;
    assert_eq!(totals[&("A".into(), 8)], (2, 2.0), "bar 9 is gone");
    assert_eq!(totals[&("A".into(), 10)], (2, 6.0));
}

#[tokio::test]
async fn a_shuffled_file_is_computed_in_a_few_calls() {
    const BARS: i64 = 20_000;
    const FIRST: i64 = 100_000;
    let folder = Folder::new();
    // Visits all minutes in a pseudo-random order.
    let minute = |n: i64| FIRST + (n * 7_919) % BARS;
    let mut complete = 0;
    let bars: Vec<_> = (0..BARS)
        .map(|n| {
            complete = complete.max(minute(n));
            bar(["A", "B"][(minute(n) % 2) as usize], minute(n), 1.0, complete)
        })
        .collect();
    folder.append(bars.iter().map(bar_record).collect()).await;
    folder.append(vec![clock_record(FIRST + BARS + 60)]).await;
    folder.drain().await;
    let calls = folder.calls.load(Ordering::Relaxed);
    assert!(calls <= 6, "{calls} calls");
    let (stored, mut wanted) = (folder.totals().await, sums(&bars));
    // Windows without a late bar are written by the engine, which does not run here.
    wanted.retain(|key, _| stored.contains_key(key));
    assert!(stored.len() > 19_000);
    assert_eq!(stored, wanted);
}

// Recomputation in portions: records that arrive meanwhile are stored, and a request to stop is
// obeyed.

/// As [`Sums`], but each call waits for a permit.
struct Held(Sums, Arc<Semaphore>);

#[async_trait]
impl Compute for Held {
    async fn compute(
        &self,
        table: &Table,
        bars: Vec<Bar>,
        articles: Vec<Article>,
    ) -> Result<Vec<Vec<Value>>, SinkError> {
        self.1.acquire().await.unwrap().forget();
        self.0.compute(table, bars, articles).await
    }
}

/// One bar at either end of a time range that is computed in several portions.
const FAR: i64 = 70_000;

#[tokio::test]
async fn while_rows_are_computed_again_records_are_stored_and_a_stop_is_heard() {
    let folder = Folder::new();
    let records = [bar("A", 1, 1.0, 1), bar("A", FAR, 1.0, FAR)];
    folder.append(records.iter().map(bar_record).collect()).await;
    folder.append(vec![clock_record(FAR + 60)]).await;
    let leave = Arc::new(Semaphore::new(0));
    let compute = Held(Sums(folder.calls.clone()), leave.clone());
    let mut sink = folder.sink_with(vec![totals()], Box::new(compute)).await;
    catch_up(&mut sink).await;
    let (again, asked) = control::recompute::channel();
    let (stopper, stop) = shutdown::channel();
    let running = tokio::spawn(async move { sink.run(Duration::from_secs(3_600), asked, &stop).await });
    let asking = tokio::spawn(async move { again.compute(0, (FAR + 60) * MINUTE).await });

    leave.add_permits(1);
    while folder.calls.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    folder.append(vec![bar_record(&bar("B", FAR + 61, 1.0, FAR + 61))]).await;
    // The bar is stored after one or two more portions, long before the last one.
    while folder.bars().await.len() < 3 {
        leave.add_permits(usize::from(leave.available_permits() == 0));
        tokio::task::yield_now().await;
    }
    let done = folder.calls.load(Ordering::Relaxed);
    assert!(done < 6, "{done} portions");
    let rows = folder.totals().await;
    assert!(rows.contains_key(&("A".into(), 1)) && !rows.contains_key(&("A".into(), FAR)), "{rows:?}");

    stopper.ask(Shutdown::Stop);
    leave.add_permits(1);
    running.await.unwrap().unwrap();
    let told = asking.await.unwrap().unwrap_err().to_string();
    assert!(told.contains("stopped before everything"), "{told}");
    assert!(folder.calls.load(Ordering::Relaxed) < 7, "nothing was computed after that");
}

#[tokio::test]
async fn what_is_asked_for_is_the_same_however_it_is_divided() {
    let folder = Folder::new();
    let minute = |n: i64| 100_000 + n * 400;
    let bars = (0..200).map(|n| bar(["A", "B", "C"][n as usize % 3], minute(n), 1.0, minute(n)));
    let bars: Vec<_> = bars.collect();
    folder.append(bars.iter().map(bar_record).collect()).await;
    folder.append(vec![clock_record(200_000)]).await;
    folder.drain().await;
    let (again, asked) = control::recompute::channel();
    let (stopper, stop) = shutdown::channel();
    let sink = folder.sink().await;
    let running = tokio::spawn(async move { sink.run(Duration::from_secs(3_600), asked, &stop).await });
    let rows = again.compute(Millis::MIN, Millis::MAX).await.unwrap();
    assert_eq!((rows, folder.totals().await), (600, sums(&bars)));
    stopper.ask(Shutdown::Stop);
    running.await.unwrap().unwrap();
}
