//! Holes in what was received: what to ask of history after a start or a reconnect, how it
//! is brought beside the live feed, and what of it remains a gap.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use control::watchlist::EVERY_SYMBOL;
use futures::StreamExt;
use model::Gap;
use model::time::{DAY, MINUTE, Millis, minute_of};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::PriceFeed;
use super::completeness::Hole;
use super::dedup::DedupCache;
use super::gaps::{FILLED, Gaps, trades};
use super::history::{HistoryClient, HistoryFailure, Page, Stretch};
use crate::clock::SharedClock;

/// Bars are corrected for so long after their end.
const CORRECTIONS: Millis = 15 * MINUTE;
/// History is asked no further back: what fits on one page. What lies before is a gap.
const FURTHEST: Millis = 30 * DAY;
/// The reason of those gaps.
const TOO_LONG_AGO: &str = "the feed was away for longer than the 30 days for which history is asked; `tickwire backfill` brings what the plan has";

/// See the module.
pub(super) struct Holes<F> {
    feed: Arc<F>,
    clock: SharedClock,
    history: Arc<HistoryClient<F>>,
    /// Why history is not asked any more.
    no_access: Option<String>,
    pub(super) fill: Option<Fill>,
    /// The end of what is being filled.
    to: Millis,
    /// Symbols that were filled since the hole opened, with the time up to which.
    sound: HashMap<String, Millis>,
    gaps: Gaps,
    /// Whether a wildcard has symbols that the quota does not reach.
    beyond_quota: bool,
    /// Symbols to be filled after what is being filled now.
    later: Vec<String>,
    /// Gaps of earlier runs, to be tried once after each start and reconnect.
    earlier: Vec<Gap>,
    earlier_tried: bool,
}

impl<F: PriceFeed> Holes<F> {
    pub(super) fn new(
        feed: Arc<F>,
        clock: SharedClock,
        history: Arc<HistoryClient<F>>,
        earlier: Vec<Gap>,
    ) -> Holes<F> {
        Holes {
            feed,
            clock,
            history,
            no_access: None,
            fill: None,
            to: Millis::MIN,
            sound: HashMap::new(),
            gaps: Gaps::default(),
            beyond_quota: false,
            later: Vec::new(),
            earlier,
            earlier_tried: false,
        }
    }

    /// The feed is up since `at`: begins to fill `hole`. Returns the gaps that
    /// are certain already; without a fill, the hole is as good as it gets.
    pub(super) fn begin(
        &mut self,
        at: Millis,
        hole: Hole,
        listed: &[String],
        known: &DedupCache,
    ) -> Vec<Gap> {
        let to = minute_of(at - self.feed.settings().delay());
        self.to = to;
        self.later.clear();
        self.earlier_tried = false;
        let symbols = self.symbols(listed, known);
        if let Some(reason) = self.no_access.clone() {
            return self.give_up_all(hole, listed, &reason);
        }
        let every = listed.iter().filter(|symbol| *symbol == EVERY_SYMBOL);
        let mut gaps = Vec::new();
        for symbol in symbols.iter().chain(every) {
            let (missing, first) = (self.missing_from(symbol, hole), to - FURTHEST);
            // A bar that came since the feed is back says nothing about what lies before.
            let after_last = known.last(symbol).map(|last| last + MINUTE).filter(|after| *after < first);
            gaps.extend(self.too_long_ago(symbol, missing.max(after_last.unwrap_or(missing)), first));
        }
        tell_of(&gaps);
        let stretches: Vec<_> =
            symbols.iter().filter_map(|symbol| self.stretch(symbol, hole, to, known)).collect();
        if !stretches.is_empty() {
            self.start(stretches);
        }
        gaps
    }

    /// What of `symbol` is missing from `from` on and lies before the `first` time that
    /// history is asked for.
    fn too_long_ago(&mut self, symbol: &str, from: Millis, first: Millis) -> Vec<Gap> {
        if from >= first {
            return Vec::new();
        }
        // What is still open begins there.
        self.sound.insert(symbol.to_owned(), first);
        if !trades(symbol, from, first) {
            return Vec::new();
        }
        let reason = TOO_LONG_AGO.to_owned();
        self.gaps.cut(Gap { symbol: symbol.to_owned(), from, to: first, reason })
    }

    /// Fills what is missing of `symbols`, which have come back to the watchlist,
    /// and the gaps of earlier runs. Returns the gaps that are certain already.
    pub(super) fn begin_late(
        &mut self,
        symbols: &[String],
        listed: &[String],
        known: &DedupCache,
    ) -> Vec<Gap> {
        if self.no_access.is_some() {
            return Vec::new();
        }
        if self.fill.is_some() {
            self.later.extend_from_slice(symbols);
            return Vec::new();
        }
        let to = minute_of(self.clock.now() - self.feed.settings().delay());
        let since_last = |symbol: &String| {
            let from = (known.last(symbol)? + MINUTE).max(to - FURTHEST);
            (from < to).then(|| Stretch { symbol: symbol.clone(), from, to })
        };
        let mut stretches: Vec<_> = symbols.iter().filter_map(since_last).collect();
        let mut gaps = Vec::new();
        for symbol in symbols {
            if let Some(last) = known.last(symbol) {
                gaps.extend(self.too_long_ago(symbol, last + MINUTE, to - FURTHEST));
            }
        }
        tell_of(&gaps);
        if !self.earlier_tried {
            self.earlier_tried = true;
            let earlier = self.earlier.iter().filter(|gap| listed.contains(&gap.symbol));
            stretches.extend(earlier.map(stretch_of));
        }
        if !stretches.is_empty() {
            self.to = to;
            self.start(stretches);
        }
        gaps
    }

    fn start(&mut self, stretches: Vec<Stretch>) {
        // The history has a minute no earlier than the feed.
        let ready = self.to + self.feed.settings().lag();
        self.fill = Some(Fill::start(self.history.clone(), self.clock.clone(), stretches, ready));
    }

    /// The symbols to ask for; of a wildcard, the busiest that the quota reaches in time.
    fn symbols(&mut self, listed: &[String], known: &DedupCache) -> Vec<String> {
        let mut symbols: Vec<_> = listed.iter().filter(|symbol| *symbol != EVERY_SYMBOL).cloned().collect();
        self.beyond_quota = false;
        if listed.iter().any(|symbol| symbol == EVERY_SYMBOL) {
            let others =
                known.busiest().into_iter().filter(|symbol| !listed.iter().any(|known| known == symbol));
            let others: Vec<_> = others.map(str::to_owned).collect();
            let wait = self.feed.settings().fill_wait.as_secs() / 60;
            let calls = u64::from(self.feed.settings().calls_per_minute) * wait;
            let room = usize::try_from(calls).unwrap_or(usize::MAX).saturating_sub(symbols.len());
            // A feed of which nothing is known yet cannot be filled either.
            self.beyond_quota = others.is_empty() || others.len() > room;
            symbols.extend(others.into_iter().take(room));
        }
        symbols
    }

    /// What to ask of a symbol: since its last bar, and what may have been corrected meanwhile.
    fn stretch(&self, symbol: &str, hole: Hole, to: Millis, known: &DedupCache) -> Option<Stretch> {
        let missing = self.missing_from(symbol, hole);
        let last = known.last(symbol);
        if last.is_none() && missing >= to {
            return None;
        }
        let after_last = last.map_or(missing, |last| last + MINUTE);
        let from = after_last.min(missing - CORRECTIONS).max(to - FURTHEST);
        (from < to).then(|| Stretch { symbol: symbol.to_owned(), from, to })
    }

    fn missing_from(&self, symbol: &str, hole: Hole) -> Millis {
        self.sound.get(symbol).map_or(hole.from, |sound| hole.from.max(*sound))
    }

    /// A stretch has been filled.
    pub(super) fn done(&mut self, stretch: &Stretch) -> Vec<Gap> {
        if let Some(tried) = self.earlier.iter().position(|gap| stretch_of(gap) == *stretch) {
            let gap = self.earlier.swap_remove(tried);
            return vec![Gap { to: gap.from, reason: FILLED.into(), ..gap }];
        }
        self.sound.insert(stretch.symbol.clone(), self.to);
        self.gaps.fill(&stretch.symbol)
    }

    /// A symbol cannot be filled.
    pub(super) fn failed(&mut self, symbol: &str, hole: Option<Hole>, reason: &str) -> Vec<Gap> {
        let Some(hole) = hole else { return Vec::new() };
        let from = self.missing_from(symbol, hole);
        self.sound.insert(symbol.to_owned(), self.to);
        self.lasting(symbol, from, reason)
    }

    /// History is closed to this key; says so once.
    pub(super) fn no_access(&mut self, hole: Option<Hole>, listed: &[String], reason: &str) -> Vec<Gap> {
        tracing::warn!(
            reason,
            "There is no access to the history: what the feed misses stays missing and is recorded as gaps."
        );
        self.no_access = Some(reason.to_owned());
        hole.map(|hole| self.give_up_all(hole, listed, reason)).unwrap_or_default()
    }

    fn give_up_all(&mut self, hole: Hole, listed: &[String], reason: &str) -> Vec<Gap> {
        let reason = format!("the feed was down, and the key has no access to history: {reason}");
        listed.iter().flat_map(|symbol| self.failed(symbol, Some(hole), &reason)).collect()
    }

    /// Everything that could be filled has been; what remains is recorded.
    pub(super) fn finish(&mut self, hole: Option<Hole>, listed: &[String], known: &DedupCache) -> Vec<Gap> {
        self.fill = None;
        let mut gaps = self.finish_wildcard(hole, listed);
        self.sound.clear();
        let later = std::mem::take(&mut self.later);
        gaps.extend(self.begin_late(&later, listed, known));
        gaps
    }

    fn finish_wildcard(&mut self, hole: Option<Hole>, listed: &[String]) -> Vec<Gap> {
        let wildcard = listed.iter().any(|symbol| symbol == EVERY_SYMBOL);
        let Some(hole) = hole.filter(|_| wildcard) else { return Vec::new() };
        if !self.beyond_quota {
            return self.gaps.fill(EVERY_SYMBOL);
        }
        let reason = "the feed was down, and the quota of history did not reach all symbols";
        let from = self.missing_from(EVERY_SYMBOL, hole);
        self.lasting(EVERY_SYMBOL, from, reason)
    }

    fn lasting(&mut self, symbol: &str, from: Millis, reason: &str) -> Vec<Gap> {
        if !trades(symbol, from, self.to) {
            return self.gaps.fill(symbol);
        }
        let gap = Gap { symbol: symbol.to_owned(), from, to: self.to, reason: reason.to_owned() };
        vec![self.gaps.give_up(gap)]
    }

    /// Time goes on to `until` over an open hole: the gaps that this makes.
    pub(super) fn pass(&mut self, hole: Hole, until: Millis, listed: &[String], reason: &str) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for symbol in listed {
            let from = self.missing_from(symbol, hole);
            if trades(symbol, from, until) {
                let gap = Gap { symbol: symbol.clone(), from, to: until, reason: reason.to_owned() };
                gaps.extend(self.gaps.grow(gap));
            }
        }
        gaps
    }
}

fn tell_of(gaps: &[Gap]) {
    let Some(from) = gaps.iter().map(|gap| gap.from).min() else { return };
    let symbols: BTreeSet<_> = gaps.iter().map(|gap| gap.symbol.as_str()).collect();
    tracing::warn!(
        symbols = symbols.len(),
        some = symbols.iter().take(5).copied().collect::<Vec<_>>().join(", "),
        from = model::time::rfc3339(from),
        "The feed was away for longer than history is asked back; what lies before is recorded as gaps. `tickwire backfill` brings what the plan has."
    );
}

fn stretch_of(gap: &Gap) -> Stretch {
    Stretch { symbol: gap.symbol.clone(), from: gap.from, to: gap.to }
}

/// Requests at once; the quota still counts each.
const FILLS_AT_ONCE: usize = 4;
/// Pages that wait to be written.
const AHEAD: usize = 8;

/// What a fill brings.
#[derive(Debug)]
pub(super) enum FillEvent {
    /// Bars of one symbol.
    Page(Page),
    /// All of a stretch has been brought.
    Done(Stretch),
    /// A stretch cannot be had.
    Failed(Stretch, String),
    /// Nothing can be had with this key.
    NoAccess(String),
    /// That was all.
    Finished,
}

/// A fill at work; it ends when dropped.
pub(super) struct Fill {
    events: mpsc::Receiver<FillEvent>,
    _task: JoinSet<()>,
}

impl Fill {
    /// Asks for `stretches` in their order, the first at `ready`, when the
    /// history has the last minute of them.
    pub(super) fn start<F: PriceFeed>(
        history: Arc<HistoryClient<F>>,
        clock: SharedClock,
        stretches: Vec<Stretch>,
        ready: Millis,
    ) -> Fill {
        let (sender, events) = mpsc::channel(AHEAD);
        let mut task = JoinSet::new();
        task.spawn(async move {
            clock.sleep_until(ready).await;
            let bringing =
                stretches.into_iter().map(|stretch| bring(history.clone(), stretch, sender.clone()));
            let mut brought = futures::stream::iter(bringing).buffered(FILLS_AT_ONCE);
            while let Some(access) = brought.next().await {
                if let Err(reason) = access {
                    let _ = sender.send(FillEvent::NoAccess(reason)).await;
                    return;
                }
            }
            let _ = sender.send(FillEvent::Finished).await;
        });
        Fill { events, _task: task }
    }

    /// What comes next.
    pub(super) async fn next(&mut self) -> FillEvent {
        self.events.recv().await.unwrap_or(FillEvent::Finished)
    }
}

/// Brings one stretch; an error means that the key has no access to any.
async fn bring<F: PriceFeed>(
    history: Arc<HistoryClient<F>>,
    stretch: Stretch,
    out: mpsc::Sender<FillEvent>,
) -> Result<(), String> {
    let event = match pages(&history, &stretch, &out).await {
        Ok(()) => FillEvent::Done(stretch),
        Err(HistoryFailure::NoAccess(reason)) => return Err(reason),
        Err(failure) => FillEvent::Failed(stretch, failure.to_string()),
    };
    let _ = out.send(event).await;
    Ok(())
}

async fn pages<F: PriceFeed>(
    history: &HistoryClient<F>,
    stretch: &Stretch,
    out: &mpsc::Sender<FillEvent>,
) -> Result<(), HistoryFailure> {
    let mut pages = history.pages(stretch);
    while let Some(page) = pages.next().await? {
        let _ = out.send(FillEvent::Page(page)).await;
    }
    Ok(())
}
