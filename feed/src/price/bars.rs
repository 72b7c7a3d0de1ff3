//! What becomes of a frame: its bars go to the log, new or corrected, and what
//! is no good bar to the dead letters.

use control::watchlist::EVERY_SYMBOL;
use model::time::{DAY, MINUTE, Millis, rfc3339};
use model::{Bar, DeadLetter};

use super::dedup::{Dedup, MOST_SYMBOLS};
use super::handler::FeedHandler;
use super::skew::FURTHEST;
use super::{Event, Frame, Origin, PriceFeed};

/// A live feed brings bars within minutes and corrects them within a quarter of an hour.
/// Older ones would let it write all of history anew; holes are filled from the history.
const OLDEST: Millis = DAY;

impl<F: PriceFeed> FeedHandler<F> {
    /// Reads a frame, each event for itself.
    pub(super) fn read(&mut self, frame: &str, received: Millis) {
        // What the connection has subscribed to since stands in the list by now.
        if self.watchlist.has_changed().unwrap_or(false) {
            self.relist();
        }
        self.frames += 1;
        let feed = self.feed.clone();
        match feed.read(frame, received) {
            Ok(Frame::Bars(bars)) => bars.into_iter().for_each(|bar| self.judge(bar)),
            Ok(Frame::Events(events)) => {
                for event in events {
                    match event {
                        Event::Bar(bar) => self.judge(*bar),
                        Event::Bad { raw, reason } => self.refuse(raw.as_bytes(), &reason, received),
                        Event::Other => self.records.count("unknown", 1),
                        Event::Message => {}
                    }
                }
            }
            Err(reason) => self.refuse(frame.as_bytes(), &reason, received),
        }
    }

    fn judge(&mut self, bar: Bar) {
        if !self.is_asked_for(&bar) {
            return;
        }
        if bar.start_timestamp < bar.received_timestamp - OLDEST {
            return self.refuse_old(&bar);
        }
        let judged = self.ahead.judge(self.frames, bar);
        if let Some(behind) = judged.behind {
            tracing::warn!(
                minutes = behind / MINUTE,
                "The whole feed is ahead of this machine's clock, which must be wrong: set it right."
            );
        }
        for bar in judged.taken {
            let late = bar.received_timestamp - bar.end_timestamp - self.delay;
            let start = bar.start_timestamp;
            if self.take(bar, Origin::Feed) == Dedup::New {
                self.note_lateness(start, late);
            }
        }
        for bar in judged.refused {
            self.refuse_ahead(&bar);
        }
    }

    /// Whether the watchlist wants a bar, and there is room for its symbol. What it does
    /// not want is counted and left out: a dead letter for each could fill the disk.
    fn is_asked_for(&mut self, bar: &Bar) -> bool {
        let symbol = bar.symbol.as_str();
        if !self.wanted.contains(symbol) && !self.wanted.contains(EVERY_SYMBOL) {
            self.records.count("unasked", 1);
            if self.told.insert("unasked") {
                tracing::warn!(
                    symbol,
                    "The feed sends bars that nobody asked for. They are left out and counted."
                );
            }
            return false;
        }
        if !self.known.admits(symbol, bar.received_timestamp) {
            self.records.count("beyond_limit", 1);
            if self.told.insert("symbols") {
                tracing::warn!(
                    symbol,
                    most = MOST_SYMBOLS,
                    "The feed sends bars of more symbols than there is room for. The others are left out and counted."
                );
            }
            return false;
        }
        true
    }

    fn note_lateness(&mut self, start: Millis, late: Millis) {
        let Some(late) = self.lateness.note(start, late) else { return };
        self.complete.delay_by(late);
        if late > 0 {
            tracing::warn!(
                minutes = late / MINUTE,
                setting = format!("{}.feed_delay", F::DESCRIPTION.name),
                "The whole feed is later than its delay: set the delay to that of the feed (15 minutes on a delayed one), or set this machine's clock right. Until then, windows close so much later."
            );
        } else {
            tracing::info!("The feed is in time again.");
        }
    }

    pub(super) fn take(&mut self, bar: Bar, origin: Origin) -> Dedup {
        let stated = self.complete.stated();
        // Before the first statement, a bar states no more than the clock allows.
        let until = stated.unwrap_or_else(|| bar.start_timestamp.min(self.complete.target(self.clock.now())));
        let bar = Bar { complete_until: until, ..bar };
        let novelty = self.known.take(&bar, origin);
        match novelty {
            Dedup::Repeat => {
                self.records.count("repeats", 1);
                return novelty;
            }
            Dedup::TooMany => {
                self.records.count("beyond_limit", 1);
                if self.told.insert("versions") {
                    let symbol = bar.symbol.as_str();
                    tracing::warn!(
                        symbol,
                        "The feed corrects one bar without end. More versions are left out and counted."
                    );
                }
                return novelty;
            }
            Dedup::Correction => self.records.count("corrections", 1),
            Dedup::New if origin == Origin::History => self.records.count("filled", 1),
            Dedup::New if stated.is_some_and(|stated| bar.start_timestamp < stated) => {
                self.records.count("late", 1);
            }
            Dedup::New => {}
        }
        self.records.count("bars", 1);
        // What brings bars is subscribed to, whatever the feed said.
        self.unacknowledged.remove(&bar.symbol);
        self.records.bar(&bar);
        novelty
    }

    pub(super) fn refuse(&mut self, event: &[u8], reason: &str, received: Millis) {
        self.records.letter(&DeadLetter::new(F::DESCRIPTION.source.as_str(), reason, event, received));
    }

    fn refuse_ahead(&mut self, bar: &Bar) {
        let reason = format!(
            "the bar starts at {}, more than an hour after it was received, or more than 10 minutes and the rest of the feed does not",
            rfc3339(bar.start_timestamp)
        );
        if bar.start_timestamp - bar.received_timestamp > FURTHEST && self.told.insert("ahead") {
            tracing::warn!(
                symbol = bar.symbol,
                start = rfc3339(bar.start_timestamp),
                "A bar is dated more than an hour ahead of this machine's clock and becomes a dead letter. If all are, the clock is wrong: set it right."
            );
        }
        self.refuse_bar(bar, &reason);
    }

    fn refuse_old(&mut self, bar: &Bar) {
        let reason = format!(
            "the bar starts at {}, more than a day before it was received, which is nothing of a live feed",
            rfc3339(bar.start_timestamp)
        );
        if self.told.insert("old") {
            tracing::warn!(
                symbol = bar.symbol,
                start = rfc3339(bar.start_timestamp),
                "A bar is dated more than a day before this machine's clock and becomes a dead letter. If all are, the clock is wrong: set it right."
            );
        }
        self.refuse_bar(bar, &reason);
    }

    /// As an event of the feed, so that it can be read again as one.
    fn refuse_bar(&mut self, bar: &Bar, reason: &str) {
        let event = self.feed.event_of(bar);
        self.refuse(event.as_bytes(), reason, bar.received_timestamp);
    }

    pub(super) fn refuse_waiting(&mut self) {
        for bar in self.ahead.give_up() {
            self.refuse_ahead(&bar);
        }
    }
}
