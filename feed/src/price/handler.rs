//! The handler between a feed and the log: reads frames, judges bars, states what is
//! complete, fills holes, and reports how the service and each symbol fares.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::shutdown::{Shutdown, ShutdownToken};
use control::watchlist::Watchlist;
use log::SharedLog;
use model::Gap;
use model::service::{Activity, RunState};
use model::status::EntryState;
use model::time::{DAY, MINUTE, Millis};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::completeness::Completeness;
use super::connection::Signal;
use super::dedup::{self, DedupCache};
use super::gaps;
use super::history::{HistoryClient, Page};
use super::holes::{FillEvent, Holes};
use super::records::Records;
use super::skew::{Ahead, Lateness};
use super::{FeedError, Origin, PriceFeed};
use crate::clock::{SharedClock, millis};

/// Signals taken before the log is written to.
const AT_ONCE: usize = 256;
/// How often what is shown is made up anew.
const SHOWN_EVERY: Duration = Duration::from_millis(400);
/// Entries whose state is shown one by one.
const SHOWN: usize = 200;
/// For how long before `complete_until` the versions of bars are kept, to tell a repeat from a
/// correction.
const KNOWN_FOR: Millis = 40 * MINUTE;

/// See the module.
pub(super) struct FeedHandler<F> {
    pub(super) feed: Arc<F>,
    pub(super) clock: SharedClock,
    pub(super) records: Records,
    pub(super) watchlist: watch::Receiver<Watchlist>,
    listed: Vec<String>,
    /// The same, to be looked up in.
    pub(super) wanted: HashSet<String>,
    /// Frames that have been read.
    pub(super) frames: u64,
    /// What has been told of this connection.
    pub(super) told: BTreeSet<&'static str>,
    pub(super) known: DedupCache,
    pub(super) ahead: Ahead,
    pub(super) lateness: Lateness,
    pub(super) delay: Millis,
    pub(super) complete: Completeness,
    holes: Holes<F>,
    /// Why nothing comes, while that is so.
    down: Option<String>,
    pub(super) unacknowledged: BTreeSet<String>,
    shown: Option<Instant>,
}

impl<F: PriceFeed> FeedHandler<F> {
    /// Finds out from the log where things stand.
    pub(super) async fn open(
        log: SharedLog,
        feed: Arc<F>,
        watchlist: watch::Receiver<Watchlist>,
        clock: SharedClock,
    ) -> Result<FeedHandler<F>, FeedError> {
        let history = Arc::new(HistoryClient::new(feed.clone(), clock.clone())?);
        let settings = feed.settings();
        let records = Records::open(log.clone(), &*feed, clock.now()).await?;
        let listed = symbols(&watchlist.borrow());
        let earlier = gaps::unfilled(&log, clock.now()).await?;
        let since = records.stated().map(|stated| {
            let gaps = earlier.iter().map(|gap| gap.from).filter(|from| *from > stated - DAY);
            gaps.fold(stated, Millis::min) - KNOWN_FOR
        });
        let known = dedup::recall(&log, &F::DESCRIPTION.class.raw_topic(), since, &listed).await?;
        let mut complete = Completeness::new(settings.lag(), millis(settings.fill_wait), records.stated());
        complete.lose(clock.now());
        let delay = settings.delay();
        Ok(FeedHandler {
            holes: Holes::new(feed.clone(), clock.clone(), history, earlier),
            feed,
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
            delay,
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
    ) -> Result<(), FeedError> {
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
                event = filled(&mut self.holes), if self.holes.fill.is_some() => self.on_fill(event),
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
            Signal::Unacknowledged(symbols) => {
                let some = symbols.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                tracing::warn!(count = symbols.len(), some, "The feed has not confirmed some subscriptions.");
                self.unacknowledged.extend(symbols);
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

    pub(super) fn relist(&mut self) {
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

    /// Takes what a fill of history brings.
    fn on_fill(&mut self, event: FillEvent) {
        let hole = self.complete.hole();
        let gaps = match event {
            FillEvent::Page(Page { bars, letters, rejected, unasked, .. }) => {
                for bar in bars {
                    self.take(bar, Origin::History);
                }
                // Each letter counts itself; the others of the page are counted alone.
                let unkept = rejected - letters.len() as u64;
                letters.iter().for_each(|letter| self.records.letter(letter));
                for (name, count) in [("rejected", unkept), ("unkept", unkept), ("unasked", unasked)] {
                    if count > 0 {
                        self.records.count(name, count);
                    }
                }
                Vec::new()
            }
            FillEvent::Done(stretch) => self.holes.done(&stretch),
            FillEvent::Failed(stretch, reason) => {
                tracing::warn!(symbol = stretch.symbol, reason, "A hole cannot be filled.");
                self.holes.failed(&stretch.symbol, hole, &reason)
            }
            FillEvent::NoAccess(reason) => {
                let gaps = self.holes.no_access(hole, &self.listed, &reason);
                self.record(&gaps);
                return self.finish_hole();
            }
            FillEvent::Finished => return self.finish_hole(),
        };
        self.record(&gaps);
    }

    fn finish_hole(&mut self) {
        let gaps = self.holes.finish(self.complete.hole(), &self.listed, &self.known);
        self.record(&gaps);
        if self.down.is_none() {
            self.complete.mend();
        }
    }

    fn record(&mut self, gaps: &[Gap]) {
        gaps.iter().for_each(|gap| self.records.gap(gap));
    }

    fn show(&mut self) {
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOWN_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let state = match (&self.down, self.complete.hole()) {
            (Some(reason), _) => Activity::new(RunState::Waiting, format!("waiting for the feed: {reason}")),
            (None, Some(_)) => Activity::new(RunState::Running, "running, and filling a hole from history"),
            (None, None) => RunState::Running.into(),
        };
        let entries = self.listed.iter().take(SHOWN).map(|symbol| self.entry(symbol)).collect();
        self.records.doing(state, entries);
    }

    fn entry(&self, symbol: &str) -> EntryState {
        let (state, failing) = if self.down.is_some() {
            ("waiting for the feed", false)
        } else if self.unacknowledged.contains(symbol) {
            ("not confirmed by the feed", true)
        } else {
            ("subscribed", false)
        };
        EntryState {
            symbol: Some(symbol.to_owned()),
            state: state.into(),
            failing,
            last_data: self.known.last(symbol).map(|start| start + MINUTE),
            ..EntryState::default()
        }
    }
}

fn symbols(list: &Watchlist) -> Vec<String> {
    list.symbols().into_iter().map(str::to_owned).collect()
}

/// The next event of a fill; waits for ever without one.
async fn filled<F: PriceFeed>(holes: &mut Holes<F>) -> FillEvent {
    match &mut holes.fill {
        Some(fill) => fill.next().await,
        None => std::future::pending().await,
    }
}
