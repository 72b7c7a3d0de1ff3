//! Computing again goes on in portions: what comes in meanwhile is stored, and a wish to
//! stop is heard.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use control::shutdown::{self, Shutdown};
use model::time::MINUTE;
use tokio::sync::Semaphore;

use super::*;

/// As [`Sums`], but each call waits for leave.
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

/// A bar at either end of a time that is computed in several portions.
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
    // One portion more, or two, and it is there; far from all.
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
