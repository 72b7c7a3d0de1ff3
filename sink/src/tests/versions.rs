//! Tests that a row that was made of less never replaces one that was made of more, and that
//! changes are counted and logged.

use std::sync::Arc;

use control::shutdown;
use model::schema::Value;
use model::time::MINUTE;
use store::{Batch, Measurement, Point};

use super::*;
use crate::aggregates::aggregate;

/// Recomputes everything that is stored, on request.
async fn recompute_all(sink: &mut Sink) -> Result<u64, String> {
    let (again, mut asked) = control::recompute::channel();
    let (_stopper, stop) = shutdown::channel();
    let ask = tokio::spawn(async move { again.compute(Millis::MIN, Millis::MAX).await });
    let ask_taken = asked.recv().await.unwrap();
    sink.begin_asked(ask_taken).await.unwrap();
    sink.finish_recomputation(&stop).await.unwrap();
    ask.await.unwrap().map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_row_emitted_again_of_fewer_bars_is_left_out_and_one_of_more_is_written() {
    let folder = Folder::new();
    folder.append(vec![row_record("A", 8, 2, 5.0), row_record("A", 9, 2, 5.0)]).await;
    drop(folder.sink_caught_up().await);
    // One batch in which rows are repeated.
    folder
        .append(vec![row_record("A", 8, 1, 1.0), row_record("A", 9, 3, 7.0), row_record("A", 9, 1, 1.0)])
        .await;
    folder.append(vec![row_record("A", 10, 1, 1.0), row_record("A", 10, 1, 1.0)]).await;
    let sink = folder.sink_caught_up().await;
    let stored = [window("A", 8, 2, 5.0), window("A", 9, 3, 7.0), window("A", 10, 1, 1.0)];
    assert_eq!(folder.totals().await, stored.into());
    assert_eq!(sink.progress.counts.poorer, 2);
    assert_eq!(sink.pending.count(&[totals()]), 1, "the one of more bars is computed again");
}

#[tokio::test]
async fn a_row_of_as_many_bars_that_differs_is_computed_again_and_stays_until_then() {
    let folder = Folder::new();
    let records = [bar("A", 10, 5.0, 10)].iter().map(bar_record).collect();
    folder.append(records).await;
    folder.append(vec![row_record("A", 8, 1, 5.0), clock_record(60)]).await;
    drop(folder.sink_caught_up().await);
    folder.append(vec![row_record("A", 8, 1, 6.0)]).await;
    let mut sink = folder.sink_caught_up().await;
    assert_eq!(folder.totals().await[&("A".into(), 8)], (1, 5.0));
    assert_eq!(sink.pending.count(&[totals()]), 1);
    recompute(&mut sink, Due::Closed).await;
    assert_eq!((folder.totals().await[&("A".into(), 8)], sink.pending.count(&[totals()])), ((1, 5.0), 0));
}

#[tokio::test]
async fn a_row_computed_again_of_fewer_bars_leaves_the_stored_one() {
    let folder = Folder::new();
    folder.append(vec![bar_record(&bar("A", 10, 5.0, 10)), clock_record(60)]).await;
    folder.append(vec![row_record("A", 8, 3, 15.0)]).await;
    let mut sink = folder.sink_caught_up().await;
    assert_eq!(recompute_all(&mut sink).await, Ok(3));
    assert_eq!(folder.totals().await[&("A".into(), 8)], (3, 15.0));
    assert_eq!(folder.totals().await[&("A".into(), 9)], (1, 5.0));
    assert_eq!((sink.progress.counts.poorer, sink.progress.counts.changed), (1, 0));
}

#[tokio::test]
async fn rows_that_change_when_computed_again_are_counted() {
    let folder = Folder::new();
    folder.append([bar("A", 10, 1.0, 10), bar("A", 12, 1.0, 12)].iter().map(bar_record).collect()).await;
    folder
        .append(vec![row_record("A", 8, 1, 1.0), row_record("A", 9, 1, 1.0), row_record("A", 10, 2, 2.0)])
        .await;
    folder.append(vec![bar_record(&bar("A", 10, 5.0, 12)), clock_record(60)]).await;
    let mut sink = folder.sink_caught_up().await;
    recompute(&mut sink, Due::Closed).await;
    assert_eq!((sink.progress.counts.recomputed, sink.progress.counts.changed), (3, 3));
    assert_eq!(recompute_all(&mut sink).await, Ok(5));
    assert_eq!((sink.progress.counts.recomputed, sink.progress.counts.changed), (8, 3), "two were new");
    assert_eq!(recompute_all(&mut sink).await, Ok(5));
    assert_eq!(sink.progress.counts.changed, 3, "nothing changes twice");
}

#[tokio::test]
async fn a_richer_row_that_comes_from_the_log_is_counted_as_a_change() {
    let folder = Folder::new();
    folder.append(vec![row_record("A", 8, 1, 1.0)]).await;
    let sink = folder.sink_caught_up().await;
    assert_eq!(sink.progress.counts.changed, 0, "it is new");
    drop(sink);
    folder.append(vec![row_record("A", 8, 3, 15.0)]).await;
    let sink = folder.sink_caught_up().await;
    assert_eq!(folder.totals().await[&("A".into(), 8)], (3, 15.0));
    assert_eq!(sink.progress.counts.changed, 1);
}

#[tokio::test]
async fn a_row_that_comes_after_its_window_was_computed_by_hand_is_compared() {
    let folder = Folder::new();
    let records = [bar("A", 10, 1.0, 10), bar("A", 11, 1.0, 11), bar("A", 10, 5.0, 11)];
    folder.append(records.iter().map(bar_record).collect()).await;
    folder.append(vec![clock_record(100)]).await;
    let mut sink = folder.sink_caught_up().await;
    assert_eq!(recompute_all(&mut sink).await, Ok(4));
    drop(sink);
    // An engine that lags reaches these windows only now.
    folder.append(vec![row_record("A", 8, 1, 1.0)]).await;
    drop(folder.sink_caught_up().await);
    assert_eq!(folder.totals().await[&("A".into(), 8)], (1, 5.0), "also after a restart");
}

#[tokio::test]
async fn a_stored_bar_that_does_not_read_costs_no_other() {
    let folder = Folder::new();
    folder.append([bar("A", 10, 1.0, 10), bar("B", 10, 2.0, 10)].iter().map(bar_record).collect()).await;
    folder.append(vec![clock_record(60)]).await;
    let mut sink = folder.sink_caught_up().await;
    let measurement = Arc::new(Measurement::bars());
    let mut strange = Point::bar(&bar("B", 11, 1.0, 0));
    strange.values[measurement.index_of("source").unwrap()] = Value::Text("nobody".into());
    let batch = Batch { points: vec![(measurement, vec![strange])], notes: vec![] };
    folder.store.write(batch.into()).await.unwrap();
    assert_eq!(recompute_all(&mut sink).await, Ok(3), "of A; of B no newest bar is known");
    recompute(&mut sink, Due::Closed).await;
    aggregate(&folder.store, 0, 100 * MINUTE).await.unwrap();
}

#[tokio::test]
async fn a_note_that_does_not_read_costs_no_other_and_the_log_is_read_again() {
    let folder = Folder::new();
    folder.append([bar("A", 10, 1.0, 10), bar("A", 9, 2.0, 10)].iter().map(bar_record).collect()).await;
    folder.drain().await;
    let keys = ["sink/progress", "sink/pending/totals/A", "sink/days/A"];
    let notes = keys.map(|key| (key.to_owned(), Some("garbage".to_owned()))).into();
    folder.store.write(Batch { points: vec![], notes }.into()).await.unwrap();
    folder.append(vec![bar_record(&bar("B", 11, 1.0, 11)), clock_record(60)]).await;
    folder.drain().await;
    assert_eq!(folder.bars().await.len(), 3);
    assert_eq!(folder.totals().await[&("A".into(), 8)], (2, 3.0));
}
