//! The handler between the feed and the log: reads frames, judges bars, states
//! what is complete, and fills holes.

mod bars;
mod filling;
mod shown;

use model::service::RunState;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::shutdown::{Shutdown, ShutdownToken};
use control::watchlist::Watchlist;
use log::SharedLog;
use model::time::{DAY, MINUTE, Millis};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::ProducerError;
use crate::history::HistoryClient;
use feed::{SharedClock, millis};

use super::ahead::Ahead;
use super::completeness::Completeness;
use super::holes::Holes;
use super::known::Known;
use super::lateness::Lateness;
use super::records::Records;
use super::session::Signal;
use super::{PolygonConfig, recall};

/// Signals taken before the log is written to.
const AT_ONCE: usize = 256;
/// Versions of bars are told apart for so long before what is complete.
const KNOWN_FOR: Millis = 40 * MINUTE;

pub(super) struct FeedHandler {
    clock: SharedClock,
    records: Records,
    watchlist: watch::Receiver<Watchlist>,
    listed: Vec<String>,
    /// The same, to be looked up in.
    wanted: HashSet<String>,
    /// Frames that have been read.
    frames: u64,
    /// What has been told of this connection.
    told: BTreeSet<&'static str>,
    known: Known,
    ahead: Ahead,
    lateness: Lateness,
    delay: Millis,
    complete: Completeness,
    holes: Holes,
    /// Why nothing comes, while that is so.
    down: Option<String>,
    unacknowledged: BTreeSet<String>,
    shown: Option<Instant>,
}

impl FeedHandler {
    /// Finds out from the log where things stand.
    pub(super) async fn open(
        log: SharedLog,
        config: Arc<PolygonConfig>,
        watchlist: watch::Receiver<Watchlist>,
        clock: SharedClock,
    ) -> Result<FeedHandler, ProducerError> {
        let history = Arc::new(HistoryClient::new((*config).clone(), clock.clone())?);
        let keys = config.clock_keys;
        let records = Records::open(log.clone(), keys, &config.host()?, config.lag(), clock.now()).await?;
        let listed = symbols(&watchlist.borrow());
        let earlier = recall::gaps(&log, clock.now()).await?;
        let since = records.stated().map(|stated| {
            let gaps = earlier.iter().map(|gap| gap.from).filter(|from| *from > stated - DAY);
            gaps.fold(stated, Millis::min) - KNOWN_FOR
        });
        let known = recall::bars(&log, since, &listed).await?;
        let mut complete = Completeness::new(config.lag(), millis(config.fill_wait), records.stated());
        complete.lose(clock.now());
        Ok(FeedHandler {
            holes: Holes::new(config.clone(), clock.clone(), history, earlier),
            clock,
            records,
            watchlist,
            wanted: listed.iter().cloned().collect(),
            listed,
            frames: 0,
            told: BTreeSet::new(),
            known,
            ahead: Ahead::default(),
            lateness: Lateness::default(),
            delay: config.delay(),
            complete,
            down: Some("connecting".into()),
            unacknowledged: BTreeSet::new(),
            shown: None,
        })
    }

    /// Works until an end is wished.
    pub(super) async fn run(
        mut self,
        mut signals: mpsc::Receiver<Signal>,
        stop: &ShutdownToken,
    ) -> Result<(), ProducerError> {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let clock = self.clock.clone();
        let mut list_lives = true;
        loop {
            let wake = self.complete.wake(clock.now());
            tokio::select! {
                () = stop.at_least(Shutdown::Drain) => break,
                signal = signals.recv() => {
                    signal.into_iter().for_each(|signal| self.on_event(signal));
                    for _ in 1..AT_ONCE {
                        let Ok(signal) = signals.try_recv() else { break };
                        self.on_event(signal);
                    }
                }
                word = filling::word(&mut self.holes), if self.holes.fill.is_some() => self.take_word(word),
                changed = self.watchlist.changed(), if list_lives => {
                    list_lives = changed.is_ok();
                    self.relist();
                }
                () = clock.sleep_until(wake) => {}
                _ = seconds.tick() => {}
            }
            if signals.is_empty() {
                self.state_complete();
            }
            self.show();
            self.records.flush().await?;
        }
        self.refuse_waiting();
        self.records.end(RunState::Stopped).await
    }

    fn on_event(&mut self, signal: Signal) {
        match signal {
            Signal::Frame { received, text, .. } => self.read(&text, received),
            Signal::Binary { received, bytes } => {
                self.refuse(&bytes, "the frame is binary, which the feed never sends", received);
            }
            Signal::Alive { at } => self.complete.on_event(at),
            Signal::Up { at } => self.up(at),
            Signal::Down { at, reason } => self.go_down(at, reason),
            Signal::Unacknowledged(pairs) => {
                let some = pairs.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                tracing::warn!(count = pairs.len(), some, "The feed has not confirmed some subscriptions.");
                let symbols = pairs.iter().filter_map(|pair| pair.split_once('.'));
                self.unacknowledged.extend(symbols.map(|(_, symbol)| symbol.to_owned()));
            }
        }
    }

    fn up(&mut self, at: Millis) {
        self.complete.on_event(at);
        tracing::info!(symbols = self.listed.len(), "The feed is up.");
        self.records.count("connections", 1);
        self.down = None;
        self.unacknowledged.clear();
        self.told.clear();
        if let Some(hole) = self.complete.hole() {
            let gaps = self.holes.begin(at, hole, &self.listed, &self.known);
            self.record(&gaps);
            if self.holes.fill.is_none() {
                self.finish_hole();
            }
        }
    }

    fn go_down(&mut self, at: Millis, reason: String) {
        tracing::warn!(reason, "The feed is down; it will be connected again.");
        self.holes.fill = None;
        self.complete.lose(at);
        self.refuse_waiting();
        self.down = Some(reason);
    }

    fn relist(&mut self) {
        let listed = symbols(&self.watchlist.borrow_and_update());
        let new: Vec<_> = listed.iter().filter(|symbol| !self.wanted.contains(*symbol)).cloned().collect();
        self.wanted = listed.iter().cloned().collect();
        self.listed = listed;
        if self.down.is_none() {
            let gaps = self.holes.begin_late(&new, &self.listed, &self.known);
            self.record(&gaps);
        }
    }

    /// States what has become complete, by heartbeats.
    fn state_complete(&mut self) {
        let Some(until) = self.complete.due(self.clock.now()) else { return };
        if let Some(hole) = self.complete.hole() {
            let reason = match &self.down {
                Some(reason) => format!("the feed is down: {reason}"),
                None => "history has not filled it in time".into(),
            };
            let gaps = self.holes.pass(hole, until, &self.listed, &reason);
            self.record(&gaps);
        }
        self.records.clocks(self.complete.stated(), until);
        self.complete.state(until);
        let kept = self.complete.hole().map_or(until, |hole| hole.from.min(until));
        self.known.forget(kept - KNOWN_FOR);
    }
}

fn symbols(list: &Watchlist) -> Vec<String> {
    list.symbols().into_iter().map(str::to_owned).collect()
}
