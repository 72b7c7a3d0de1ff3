//! The faults that are thrown, and what becomes of a run under them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::time::{DAY, Millis, SECOND};
use testkit::massive::{Answer, MinuteBar};

use super::super::place::Place;
use super::seen::Seen;
use feed::Clock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Drop,
    HalfFrame,
    CleanClose,
    Eviction,
    Stall,
    NobodyLetIn,
    HistoryOverQuota,
    HistoryDown,
    Killed,
    Stopped,
    CutFrame,
    Flood,
    Garbage,
    LiesAboutTime,
    HistoryEndless,
    HistoryLoops,
    HistoryOfAnother,
}

impl Fault {
    pub(super) const ALL: [Fault; 17] = [
        Fault::Drop,
        Fault::HalfFrame,
        Fault::CleanClose,
        Fault::Eviction,
        Fault::Stall,
        Fault::NobodyLetIn,
        Fault::HistoryOverQuota,
        Fault::HistoryDown,
        Fault::Killed,
        Fault::Stopped,
        Fault::CutFrame,
        Fault::Flood,
        Fault::Garbage,
        Fault::LiesAboutTime,
        Fault::HistoryEndless,
        Fault::HistoryLoops,
        Fault::HistoryOfAnother,
    ];
}

pub(super) struct Soak {
    pub(super) place: Place,
    pub(super) seen: Seen,
    pub(super) thrown: BTreeMap<Fault, u64>,
    /// The producer does not run until so many more minutes have passed.
    pub(super) dead_for: u64,
    /// The feed lets nobody in for so many more minutes.
    pub(super) shut_for: u64,
    /// The connection is dead without an end, for so many more minutes and until that is noticed.
    stalled: Option<Stalled>,
}

struct Stalled {
    minutes: u64,
    /// Connections opened before it is noticed.
    opened: usize,
}

impl Soak {
    pub(super) fn new(place: Place) -> Soak {
        let (seen, thrown) = (Seen::default(), BTreeMap::new());
        Soak { place, seen, thrown, dead_for: 0, shut_for: 0, stalled: None }
    }

    /// Sends bars, and waits until they are in the log if somebody is there to hear them.
    pub(super) async fn send(&mut self, bars: &[MinuteBar]) {
        self.place.history.add(bars);
        if self.place.feed.pairs().is_empty() {
            return;
        }
        let opened = self.place.feed.opened();
        self.place.feed.bars(bars);
        let begun = Instant::now();
        while !bars.iter().all(|bar| self.seen.has(bar)) && self.place.feed.opened() == opened {
            if begun.elapsed() > Duration::from_secs(20) {
                panic!("never in the log: {bars:?}; {:?}", self.place.status().await);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.seen.read_on(&self.place).await;
        }
    }

    /// Throws a fault at a running producer; it lasts `length` minutes, where it lasts at all.
    pub(super) async fn fault(&mut self, fault: Fault, length: u64) {
        *self.thrown.entry(fault).or_default() += 1;
        let feed = &self.place.feed;
        match fault {
            Fault::Drop => feed.drop_connections(),
            Fault::HalfFrame => feed.half_frame(),
            Fault::CleanClose => feed.close(1000),
            Fault::Eviction => {
                let evicted =
                    r#"[{"ev":"status","status":"max_connections","message":"Maximum number exceeded."}]"#;
                feed.text(evicted);
                feed.close(1008);
            }
            Fault::Stall => {
                if feed.open() > 0 {
                    self.stalled = Some(Stalled { minutes: length, opened: feed.opened() });
                }
                return feed.stall();
            }
            Fault::NobodyLetIn => {
                self.shut_for = length;
                feed.refuse(true);
                feed.drop_connections();
            }
            Fault::HistoryOverQuota => {
                self.place.history.answer([Answer::over_quota(length > 3), Answer::Cut]);
                feed.drop_connections();
            }
            Fault::HistoryDown => {
                let down = Answer::Status(503, "<html>busy</html>".into(), None);
                self.place.history.answer(vec![down; length as usize]);
                feed.drop_connections();
            }
            Fault::Killed => {
                self.dead_for = length;
                self.place.kill().await;
            }
            Fault::Stopped => {
                self.dead_for = length;
                self.place.stop().await;
            }
            Fault::Flood => {
                let now = self.place.clock.now();
                let bars: Vec<_> = (0..2_000)
                    .map(|n| MinuteBar::new(&format!("ZZ{n}"), model::time::minute_of(now), 1.0, 1.0))
                    .collect();
                return feed.flood(&bars);
            }
            Fault::Garbage => return feed.text(format!("[{}]", vec![r#"{"ev":"AM"}"#; 5_000].join(","))),
            Fault::LiesAboutTime => {
                // Each frame agrees with the others on a time that is years off.
                let pairs = feed.pairs();
                let symbols = pairs.iter().filter_map(|pair| pair.split_once('.'));
                for year in [-40, 100, 170] {
                    let at = model::time::minute_of(self.place.clock.now()) + year * 365 * DAY;
                    let bars: Vec<_> =
                        symbols.clone().map(|(_, symbol)| MinuteBar::new(symbol, at, 1.0, 1.0)).collect();
                    for _ in 0..3 {
                        feed.flood(&bars);
                    }
                }
                return;
            }
            Fault::HistoryEndless => {
                self.place.history.answer([Answer::Endless]);
                feed.drop_connections();
            }
            Fault::HistoryLoops => {
                self.place.history.answer(vec![Answer::Loops; 1 + length as usize % 3]);
                feed.drop_connections();
            }
            Fault::HistoryOfAnother => {
                self.place.history.answer([Answer::About("OTHER".into())]);
                feed.drop_connections();
            }
            Fault::CutFrame => return feed.text(r#"[{"ev":"AM","sym":"HALF"#),
        }
        self.place.feed.until("the connection ended", |feed| feed.open() == 0).await;
    }

    /// A minute has passed for everybody.
    pub(super) async fn recover(&mut self) {
        if self.dead_for > 0 {
            self.dead_for -= 1;
            if self.dead_for == 0 {
                self.place.start();
            }
        }
        self.shut_for = self.shut_for.saturating_sub(1);
        self.place.feed.refuse(self.shut_for > 0);
        if let Some(Stalled { minutes, opened }) = self.stalled.take() {
            match minutes {
                0 | 1 => self.until_noticed(opened).await,
                _ => self.stalled = Some(Stalled { minutes: minutes - 1, opened }),
            }
        }
    }

    /// A connection that is dead without an end is noticed by the client alone, in real time.
    async fn until_noticed(&self, opened: usize) {
        while self.dead_for == 0 && self.shut_for == 0 && self.place.feed.opened() == opened {
            self.place.pass(100);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Time passes to `at`, with moments for what has become due.
    pub(super) async fn pass_to(&mut self, at: Millis) {
        while self.place.clock.now() < at {
            let now = self.place.clock.now();
            self.place.clock.set(at.min(now + 20 * SECOND));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
