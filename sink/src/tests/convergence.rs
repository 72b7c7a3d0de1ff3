//! Tests that the store converges: whatever is late, repeated, emitted again or killed, in any
//! order, it ends with the result of a computation over the final bars.

use std::time::Duration;

use log::Append;
use model::Bar;
use model::time::{MINUTE, Millis, minute_of};
use proptest::prelude::*;

use super::{Folder, HOP, bar, bar_record, catch_up, clock_record, recompute, row_record, sums};
use crate::sink::{Due, Sink};

#[derive(Clone, Debug)]
enum Step {
    /// A bar before or after the clock of the producer, in minutes.
    Bar {
        symbol: &'static str,
        ahead: i64,
        volume: u8,
        received: i64,
    },
    /// Advances the clock of the producer.
    Clock(i64),
    /// The engine processes this many records.
    Engine(usize),
    /// The engine repeats its last rows, as after a restart.
    EmitAgain(usize),
    SinkReads,
    SinkWrites,
    Recompute,
    /// The sink is killed with records that it has not written, or not committed.
    Kill {
        written: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bar = (prop::sample::select(vec!["A", "B"]), -6..2_i64, any::<u8>(), 0..3_i64)
        .prop_map(|(symbol, ahead, volume, received)| Step::Bar { symbol, ahead, volume, received });
    let step = prop_oneof![
        8 => bar,
        4 => (1..4_i64).prop_map(Step::Clock),
        4 => (1..10_usize).prop_map(Step::Engine),
        1 => (1..6_usize).prop_map(Step::EmitAgain),
        3 => Just(Step::SinkReads),
        2 => Just(Step::SinkWrites),
        2 => Just(Step::Recompute),
        1 => any::<bool>().prop_map(|written| Step::Kill { written }),
    ];
    prop::collection::vec(step, 1..60)
}

/// An engine as the sink sees it: it processes records in order and ignores late ones.
#[derive(Default)]
struct Engine {
    taken: usize,
    watermark: Option<Millis>,
    in_time: Vec<Bar>,
    emitted: Vec<Append>,
    closed: Millis,
}

impl Engine {
    fn take(&mut self, records: &[Bar], count: usize) -> Vec<Append> {
        let upto = (self.taken + count).min(records.len());
        for bar in &records[self.taken..upto] {
            if self.watermark.is_none_or(|at| bar.start_timestamp >= minute_of(at)) {
                self.in_time.push(bar.clone());
            }
            self.watermark = self.watermark.max(Some(bar.complete_until));
        }
        self.taken = upto;
        let Some(watermark) = self.watermark else { return vec![] };
        let mut rows: Vec<_> = sums(&self.in_time)
            .into_iter()
            .map(|((symbol, start), total)| (start * MINUTE + HOP.size, symbol, start, total))
            .filter(|(end, ..)| *end > self.closed && *end <= watermark)
            .collect();
        rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        self.closed = self.closed.max(watermark);
        let records: Vec<_> = rows
            .into_iter()
            .map(|(_, symbol, start, (bars, volume))| row_record(&symbol, start, bars, volume))
            .collect();
        self.emitted.extend(records.iter().cloned());
        records
    }
}

/// All parts of the test.
struct Scene {
    folder: Folder,
    records: Vec<Bar>,
    clock: i64,
    engine: Engine,
    sink: Sink,
}

impl Scene {
    async fn new() -> Scene {
        let folder = Folder::new();
        let sink = folder.sink().await;
        Scene { folder, records: vec![], clock: 100, engine: Engine::default(), sink }
    }

    async fn play(&mut self, step: Step) {
        match step {
            Step::Bar { symbol, ahead, volume, received } => {
                let made = bar(symbol, self.clock + ahead, f64::from(volume), self.clock);
                let received_timestamp = made.received_timestamp + received;
                self.produce(Bar { received_timestamp, ..made }).await;
            }
            Step::Clock(minutes) => {
                self.clock += minutes;
                self.produce(model::heartbeat::bar(0, self.clock * MINUTE)).await;
            }
            Step::Engine(count) => {
                let rows = self.engine.take(&self.records, count);
                self.folder.append(rows).await;
            }
            Step::EmitAgain(count) => {
                let from = self.engine.emitted.len().saturating_sub(count);
                self.folder.append(self.engine.emitted[from..].to_vec()).await;
            }
            Step::SinkReads => drop(self.sink.read(Duration::ZERO).await.unwrap()),
            Step::SinkWrites => self.sink.flush().await.unwrap(),
            Step::Recompute => recompute(&mut self.sink, Due::Emitted).await,
            Step::Kill { written } => {
                if written {
                    self.sink.start_write().await.unwrap();
                    self.sink.finish_write().await.unwrap();
                }
                self.sink = self.folder.sink().await;
            }
        }
    }

    async fn produce(&mut self, bar: Bar) {
        self.folder.append(vec![bar_record(&bar)]).await;
        self.records.push(bar);
    }

    /// The replay ends: heartbeats close every window, and everything is drained.
    async fn end(&mut self) {
        let last = self.clock + 60;
        self.folder.append(vec![clock_record(last)]).await;
        self.records.push(model::heartbeat::bar(0, last * MINUTE));
        let rows = self.engine.take(&self.records, usize::MAX - self.engine.taken);
        self.folder.append(rows).await;
        catch_up(&mut self.sink).await;
        recompute(&mut self.sink, Due::Closed).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_converges_to_what_a_computation_over_the_final_bars_yields(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new().await;
            for step in steps {
                scene.play(step).await;
            }
            scene.end().await;
            let bars: Vec<_> = scene.records.iter().filter(|bar| !bar.is_heartbeat()).cloned().collect();
            assert_eq!(scene.folder.totals().await, sums(&bars));
            assert_eq!(scene.sink.progress.counts.points as usize, bars.len() + {
                let rows = model::topic::Topic::new("totals");
                let written = scene.folder.log.read(&rows, 0, 0, 100_000).await.unwrap();
                written.iter().filter(|row| !model::symbol::is_ours(&row.key)).count()
            });
        });
    }
}
