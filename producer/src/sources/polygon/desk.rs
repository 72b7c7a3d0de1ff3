//! The desk between the feed and the log: reads frames, judges bars, states
//! what is complete, and fills holes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use wire::log::SharedLog;
use wire::status::EntryState;
use wire::stop::{Stop, Wish};
use wire::time::{DAY, MINUTE, Millis};
use wire::watchlist::Watchlist;
use wire::{Bar, DeadLetter, Gap, Source};

use crate::ProducerError;
use crate::history::{HistoryClient, Page};
use crate::wall::{SharedWall, millis};

use super::ahead::Ahead;
use super::completeness::Completeness;
use super::event::{self, Event};
use super::fill::Word;
use super::holes::Holes;
use super::known::{Known, Novelty};
use super::lateness::Lateness;
use super::records::Records;
use super::session::Signal;
use super::{PolygonConfig, recall};

/// Signals taken before the log is written to.
const AT_ONCE: usize = 256;
/// Versions of bars are told apart for so long before what is complete.
const KNOWN_FOR: Millis = 40 * MINUTE;
/// How often what is shown is made up anew.
const SHOWN_EVERY: Duration = Duration::from_millis(400);
/// Entries whose state is shown one by one.
const SHOWN: usize = 200;

pub(super) struct Desk {
    wall: SharedWall,
    records: Records,
    watchlist: watch::Receiver<Watchlist>,
    listed: Vec<String>,
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

impl Desk {
    /// Finds out from the log where things stand.
    pub(super) async fn open(
        log: SharedLog,
        config: Arc<PolygonConfig>,
        watchlist: watch::Receiver<Watchlist>,
        wall: SharedWall,
    ) -> Result<Desk, ProducerError> {
        let history = Arc::new(HistoryClient::new((*config).clone(), wall.clone())?);
        let records = Records::open(log.clone(), config.clock_keys, &config.host()?).await?;
        let listed = symbols(&watchlist.borrow());
        let earlier = recall::gaps(&log, wall.now()).await?;
        let since = records.stated().map(|stated| {
            let gaps = earlier.iter().map(|gap| gap.from).filter(|from| *from > stated - DAY);
            gaps.fold(stated, Millis::min) - KNOWN_FOR
        });
        let known = recall::bars(&log, since, &listed).await?;
        let mut complete = Completeness::new(config.lag(), millis(config.fill_wait), records.stated());
        complete.lose(wall.now());
        Ok(Desk {
            holes: Holes::new(config.clone(), wall.clone(), history, earlier),
            wall,
            records,
            watchlist,
            listed,
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

    /// Works until the feed refuses for good or an end is wished.
    pub(super) async fn run(
        mut self,
        mut signals: mpsc::Receiver<Signal>,
        stop: &Stop,
    ) -> Result<(), ProducerError> {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wall = self.wall.clone();
        let mut list_lives = true;
        loop {
            let wake = self.complete.wake(wall.now());
            tokio::select! {
                () = stop.at_least(Wish::Drain) => break,
                signal = signals.recv() => {
                    let mut next = signal;
                    for _ in 0..AT_ONCE {
                        let Some(signal) = next else { break };
                        self.hear(signal).await?;
                        next = signals.try_recv().ok();
                    }
                }
                word = word(&mut self.holes), if self.holes.fill.is_some() => self.take_word(word),
                changed = self.watchlist.changed(), if list_lives => {
                    list_lives = changed.is_ok();
                    self.relist();
                }
                () = wall.until(wake) => {}
                _ = seconds.tick() => {}
            }
            if signals.is_empty() {
                self.state_complete();
            }
            self.show();
            self.records.flush().await?;
        }
        self.refuse_waiting();
        self.records.end("stopped").await
    }

    async fn hear(&mut self, signal: Signal) -> Result<(), ProducerError> {
        match signal {
            Signal::Frame { received, text, .. } => self.read(&text, received),
            Signal::Binary { received, bytes } => {
                self.refuse(&bytes, "the frame is binary, which the feed never sends", received);
            }
            Signal::Up { at } => self.up(at),
            Signal::Down { at, reason } => self.go_down(at, reason),
            Signal::Unacknowledged(pairs) => {
                let some = pairs.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                tracing::warn!(count = pairs.len(), some, "The feed has not confirmed some subscriptions.");
                let symbols = pairs.iter().filter_map(|pair| pair.split_once('.'));
                self.unacknowledged.extend(symbols.map(|(_, symbol)| symbol.to_owned()));
            }
            Signal::Refused(refusal) => {
                self.refuse_waiting();
                self.records.end(&refusal.to_string()).await?;
                return Err(refusal.into());
            }
        }
        Ok(())
    }

    fn up(&mut self, at: Millis) {
        tracing::info!(symbols = self.listed.len(), "The feed is up.");
        self.records.count("connections", 1);
        self.down = None;
        self.unacknowledged.clear();
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

    /// Reads a frame, each event for itself.
    fn read(&mut self, frame: &str, received: Millis) {
        let events = match event::split(frame) {
            Ok(events) => events,
            Err(reason) => return self.refuse(frame.as_bytes(), &reason, received),
        };
        for raw in events {
            match event::read(raw.get(), received) {
                Event::Bar(bar) => self.judge(*bar),
                Event::Bad(reason) => self.refuse(raw.get().as_bytes(), &reason, received),
                Event::Other => self.records.count("unknown", 1),
                Event::Status(_) => {}
            }
        }
    }

    fn judge(&mut self, bar: Bar) {
        let judged = self.ahead.judge(bar);
        if let Some(behind) = judged.behind {
            tracing::warn!(
                minutes = behind / MINUTE,
                "The whole feed is ahead of this machine's clock, which must be wrong: set it right."
            );
        }
        for bar in judged.taken {
            let late = bar.received_timestamp - bar.end_timestamp - self.delay;
            let start = bar.start_timestamp;
            if self.take(bar) == Novelty::New {
                self.note_lateness(start, late);
            }
        }
        for bar in judged.refused {
            self.refuse_ahead(&bar);
        }
    }

    fn note_lateness(&mut self, start: Millis, late: Millis) {
        let Some(late) = self.lateness.note(start, late) else { return };
        self.complete.delay_by(late);
        if late > 0 {
            tracing::warn!(
                minutes = late / MINUTE,
                "The whole feed is later than its delay: set polygon.feed_delay to that of the feed (15 minutes on a delayed one), or set this machine's clock right. Until then, windows close so much later."
            );
        } else {
            tracing::info!("The feed is in time again.");
        }
    }

    fn take(&mut self, bar: Bar) -> Novelty {
        let stated = self.complete.stated();
        let bar = Bar { complete_until: stated.unwrap_or(bar.start_timestamp), ..bar };
        let novelty = self.known.take(&bar);
        match novelty {
            Novelty::Repeat => {
                self.records.count("repeats", 1);
                return novelty;
            }
            Novelty::Correction => self.records.count("corrections", 1),
            Novelty::New if bar.source == Source::PolygonHistory => self.records.count("filled", 1),
            Novelty::New if stated.is_some_and(|stated| bar.start_timestamp < stated) => {
                self.records.count("late", 1);
            }
            Novelty::New => {}
        }
        self.records.count("bars", 1);
        self.records.bar(&bar);
        novelty
    }

    fn take_word(&mut self, word: Word) {
        let hole = self.complete.hole();
        let gaps = match word {
            Word::Page(Page { bars, letters, .. }) => {
                for bar in bars {
                    self.take(bar);
                }
                letters.iter().for_each(|letter| self.records.letter(letter));
                Vec::new()
            }
            Word::Done(stretch) => self.holes.done(&stretch),
            Word::Failed(stretch, reason) => {
                tracing::warn!(symbol = stretch.symbol, reason, "A hole cannot be filled.");
                self.holes.failed(&stretch.symbol, hole, &reason)
            }
            Word::NoAccess(reason) => {
                let gaps = self.holes.no_access(hole, &self.listed, &reason);
                self.record(&gaps);
                return self.finish_hole();
            }
            Word::Finished => return self.finish_hole(),
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

    fn relist(&mut self) {
        let listed = symbols(&self.watchlist.borrow_and_update());
        let new: Vec<_> = listed.iter().filter(|symbol| !self.listed.contains(symbol)).cloned().collect();
        self.listed = listed;
        if self.down.is_none() {
            self.holes.begin_late(&new, &self.listed, &self.known);
        }
    }

    /// States what has become complete, by clock records.
    fn state_complete(&mut self) {
        let Some(until) = self.complete.due(self.wall.now()) else { return };
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

    fn record(&mut self, gaps: &[Gap]) {
        gaps.iter().for_each(|gap| self.records.gap(gap));
    }

    fn refuse(&mut self, event: &[u8], reason: &str, received: Millis) {
        self.records.letter(&DeadLetter::new(Source::Polygon.as_str(), reason, event, received));
    }

    fn refuse_ahead(&mut self, bar: &Bar) {
        let reason = format!(
            "the bar starts at {}, more than 10 minutes after it was received, and the rest of the feed does not",
            wire::time::rfc3339(bar.start_timestamp)
        );
        let event = serde_json::to_vec(bar).unwrap_or_default();
        self.refuse(&event, &reason, bar.received_timestamp);
    }

    fn refuse_waiting(&mut self) {
        for bar in self.ahead.give_up() {
            self.refuse_ahead(&bar);
        }
    }

    fn show(&mut self) {
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOWN_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let state = match (&self.down, self.complete.hole()) {
            (Some(reason), _) => format!("waiting for the feed: {reason}"),
            (None, Some(_)) => "running, and filling a hole from history".into(),
            (None, None) => "running".into(),
        };
        let entries = self.listed.iter().take(SHOWN).map(|symbol| self.entry(symbol)).collect();
        self.records.doing(&state, entries);
    }

    fn entry(&self, symbol: &str) -> EntryState {
        let state = if self.down.is_some() {
            "waiting for the feed"
        } else if self.unacknowledged.contains(symbol) {
            "not confirmed by the feed"
        } else {
            "subscribed"
        };
        EntryState {
            symbol: Some(symbol.to_owned()),
            state: state.into(),
            last_data: self.known.last(symbol).map(|start| start + MINUTE),
            ..EntryState::default()
        }
    }
}

async fn word(holes: &mut Holes) -> Word {
    match &mut holes.fill {
        Some(fill) => fill.word().await,
        None => std::future::pending().await,
    }
}

fn symbols(list: &Watchlist) -> Vec<String> {
    list.symbols().into_iter().map(str::to_owned).collect()
}
