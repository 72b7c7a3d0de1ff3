//! The study of one symbol: each of its articles, and the mean over those that count.

use std::collections::BTreeMap;

use model::calendar::Phase;
use model::time::Millis;

use crate::baseline::Baseline;
use crate::events::{Event, Events};
use crate::mean::MeanPath;
use crate::options::Options;
use crate::reaction::{LeftOut, Path, Reaction, crosses_split};
use crate::split::{self, Split};
use crate::tape::Tape;
use crate::walk::{NoWalk, Walk};

/// What came of the study of one symbol.
#[derive(Clone, Debug)]
pub struct SymbolStudy {
    /// The symbol.
    pub symbol: String,
    /// Each article once, by time.
    pub reactions: Vec<Reaction>,
    /// Articles that came again, as another version or for another search
    /// term, and were counted once.
    pub repeated: usize,
    /// The splits that its prices show.
    pub splits: Vec<Split>,
    /// The mean over the articles that count.
    pub mean: MeanPath,
}

impl SymbolStudy {
    pub(crate) fn new(
        symbol: &str,
        tape: Option<&Tape>,
        events: &Events<'_>,
        latest: Option<Millis>,
        options: &Options,
    ) -> SymbolStudy {
        let splits = tape.map(split::find).unwrap_or_default();
        let reaction = |(index, event): (usize, &Event<'_>)| {
            let followed = events.followed(index, options.quiet).is_some();
            let (path, problem) = match tape {
                None => (None, Some(LeftOut::NoBars)),
                Some(tape) => around(event.at, tape, events, &splits, options),
            };
            let left_out = tape
                .and_then(|tape| misplaced(event.at, tape, latest))
                .or(followed.then_some(LeftOut::FollowsAnother).filter(|_| tape.is_some()))
                .or(problem);
            Reaction { symbol: symbol.to_owned(), id: event.article.id.clone(), at: event.at, left_out, path }
        };
        let reactions: Vec<_> = events.all.iter().enumerate().map(reaction).collect();
        let mean = MeanPath::over(used(&reactions), options);
        SymbolStudy { symbol: symbol.to_owned(), reactions, repeated: events.repeated, splits, mean }
    }

    /// The study of a symbol of which nothing is there.
    pub fn empty(symbol: impl Into<String>) -> SymbolStudy {
        let mean = MeanPath::over(std::iter::empty(), &Options::default());
        SymbolStudy { symbol: symbol.into(), reactions: Vec::new(), repeated: 0, splits: Vec::new(), mean }
    }

    /// The paths that statistics are made of.
    pub fn used(&self) -> impl Iterator<Item = &Path> {
        used(&self.reactions)
    }

    /// How many articles were left out, by reason.
    pub fn left_out(&self) -> BTreeMap<LeftOut, usize> {
        let mut counts = BTreeMap::new();
        for reason in self.reactions.iter().filter_map(|reaction| reaction.left_out) {
            *counts.entry(reason).or_default() += 1;
        }
        counts
    }
}

fn used(reactions: &[Reaction]) -> impl Iterator<Item = &Path> {
    reactions.iter().filter(|reaction| reaction.is_used()).filter_map(|reaction| reaction.path.as_ref())
}

/// What the time of an event alone rules out.
fn misplaced(at: Millis, tape: &Tape, latest: Option<Millis>) -> Option<LeftOut> {
    if tape.first().is_none_or(|first| at < first) {
        Some(LeftOut::BeforeFirstBar)
    } else if latest.is_none_or(|latest| at >= latest) {
        Some(LeftOut::AfterLastBar)
    } else {
        (tape.calendar().phase(at) == Phase::Closed).then_some(LeftOut::MarketClosed)
    }
}

/// The path around an event, and what keeps it out of the statistics.
fn around(
    at: Millis,
    tape: &Tape,
    events: &Events<'_>,
    splits: &[Split],
    options: &Options,
) -> (Option<Path>, Option<LeftOut>) {
    let walk = match Walk::around(tape, at) {
        Ok(walk) => walk,
        Err(NoWalk::NoPriceBefore) => return (None, Some(LeftOut::NoPriceBefore)),
        Err(NoWalk::NoPriceAfter) => return (None, Some(LeftOut::NoPriceAfter)),
    };
    let baseline = Baseline::before(at, tape, events, splits, options);
    let path = Path::new(&walk, &baseline, tape.class().has_volume(), options);
    let problem = if crosses_split(splits, at) {
        Some(LeftOut::Split)
    } else {
        (baseline.sessions() < options.least_sessions.max(2)).then_some(LeftOut::FewSessions)
    };
    (Some(path), problem)
}
