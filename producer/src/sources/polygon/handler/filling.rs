//! What a fill of history brings, and what remains a gap.

use model::Gap;

use super::super::fill::Word;
use super::super::holes::Holes;
use super::FeedHandler;
use crate::history::Page;

impl FeedHandler {
    pub(super) fn take_word(&mut self, word: Word) {
        let hole = self.complete.hole();
        let gaps = match word {
            Word::Page(Page { bars, letters, rejected, unasked, .. }) => {
                for bar in bars {
                    self.take(bar);
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

    pub(super) fn finish_hole(&mut self) {
        let gaps = self.holes.finish(self.complete.hole(), &self.listed, &self.known);
        self.record(&gaps);
        if self.down.is_none() {
            self.complete.mend();
        }
    }

    pub(super) fn record(&mut self, gaps: &[Gap]) {
        gaps.iter().for_each(|gap| self.records.gap(gap));
    }
}

/// The next word of a fill; waits for ever without one.
pub(super) async fn word(holes: &mut Holes) -> Word {
    match &mut holes.fill {
        Some(fill) => fill.word().await,
        None => std::future::pending().await,
    }
}
