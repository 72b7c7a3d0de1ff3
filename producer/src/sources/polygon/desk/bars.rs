//! What becomes of a frame: its bars go to the log, new or corrected, and what
//! is no good bar to the dead letters.

use wire::time::{MINUTE, Millis};
use wire::{Bar, DeadLetter, Source};

use super::super::event::{self, Event};
use super::super::known::Novelty;
use super::Desk;

impl Desk {
    /// Reads a frame, each event for itself.
    pub(super) fn read(&mut self, frame: &str, received: Millis) {
        if let Some(bars) = event::only_bars(frame, received) {
            bars.into_iter().for_each(|bar| self.judge(bar));
            return;
        }
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

    pub(super) fn take(&mut self, bar: Bar) -> Novelty {
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
        // What brings bars is subscribed to, whatever the feed said.
        self.unacknowledged.remove(&bar.symbol);
        self.records.bar(&bar);
        novelty
    }

    pub(super) fn refuse(&mut self, event: &[u8], reason: &str, received: Millis) {
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

    pub(super) fn refuse_waiting(&mut self) {
        for bar in self.ahead.give_up() {
            self.refuse_ahead(&bar);
        }
    }
}
