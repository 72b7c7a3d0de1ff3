//! With the engine itself: late and corrected bars streamed through it end up
//! in the store as its batch path would have them.

use std::time::Duration;

use engine::Job;
use store::Query;
use wire::Bar;
use wire::schema::Value;
use wire::stop::{self, Stop, Wish};
use wire::time::MINUTE;

use super::{Folder, bar, bar_record, clock_record};

fn draining() -> Stop {
    let (stopper, stop) = stop::channel();
    stopper.ask(Wish::Drain);
    // The asking side must live as long as the wish.
    std::mem::forget(stopper);
    stop
}

/// 200 minutes of two symbols, every seventh bar 20 minutes late, every eleventh corrected then.
fn bars() -> Vec<Bar> {
    let mut made = Vec::new();
    for minute in 100..300_i64 {
        for (symbol, price) in [("A", 10.0), ("B", 20.0)] {
            let price = price + ((minute * 37) % 17) as f64 / 10.0;
            let (open, high, low, close) = (price, price + 0.3, price - 0.2, price + 0.1);
            let made_bar = Bar { open, high, low, close, ..bar(symbol, minute, (minute % 9) as f64, minute) };
            let (is_late, is_corrected) = (minute % 7 == 0, minute % 11 == 0);
            if !is_late {
                made.push((minute, made_bar.clone()));
            }
            if is_late || is_corrected {
                let received_timestamp = made_bar.received_timestamp + 20 * MINUTE;
                let complete_until = (minute + 20) * MINUTE;
                let close = if is_corrected { low } else { close };
                made.push((minute + 20, Bar { close, received_timestamp, complete_until, ..made_bar }));
            }
        }
    }
    made.sort_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, bar)| bar).collect()
}

async fn stored(folder: &Folder) -> Vec<Vec<Value>> {
    let query = Query { measurement: "volatility".into(), ..Query::default() };
    folder.store.read(&query).await.unwrap().rows
}

#[tokio::test]
async fn late_and_corrected_bars_end_up_as_the_batch_path_has_them() {
    let folder = Folder::new();
    let jobs = vec![Job::named("volatility").unwrap()];
    folder.append(bars().iter().map(bar_record).collect()).await;
    folder.append((301..400).map(clock_record).collect()).await;
    engine::run(folder.log.clone(), jobs.clone(), draining()).await.unwrap();
    let every = Duration::from_secs(3_600);
    crate::run_every(every, folder.log.clone(), folder.store.clone(), jobs.clone(), draining())
        .await
        .unwrap();
    let wanted = engine::compute(&jobs[0], bars(), vec![]).await.unwrap();
    assert!(wanted.len() > 400);
    assert_eq!(stored(&folder).await, wanted);

    // A part computed again by hand is the same once more.
    let (from, to) = (150 * MINUTE, 160 * MINUTE);
    assert_eq!(crate::recompute(&folder.store, &jobs, from, to).await.unwrap(), 20);
    assert_eq!(
        crate::recompute(&folder.store, &jobs, i64::MIN, i64::MAX).await.unwrap(),
        wanted.len() as u64
    );
    assert_eq!(stored(&folder).await, wanted);
}
