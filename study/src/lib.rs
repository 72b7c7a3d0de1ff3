//! Event-study statistics: how prices and volumes move around news, with error bands.
//!
//! The event is an article's publication; its window reaches from [`BEFORE`]
//! minutes before to [`AFTER`] minutes after. From the widest to the finest:
//! [`study`] takes bars and articles apart by symbol, `tape` tells what was
//! known when, `walk` follows the price around one time, `baseline` finds what
//! the symbol does at that time of day without news, `reaction` compares the
//! two for one article, `mean` over many. `impact` compares windows with news
//! to windows without.
//!
//! MacKinlay, 1997, "Event Studies in Economics and Finance", Journal of
//! Economic Literature 35, is the common reference; `docs/event-study.md` has
//! the formulas.

mod baseline;
mod estimate;
mod events;
mod impact;
mod mean;
mod options;
mod reaction;
pub mod report;
mod split;
mod symbol_study;
pub mod tables;
mod tape;
mod walk;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use model::{Article, Bar};

pub use estimate::Estimate;
pub use impact::{Comparison, JUMP, News, Share, Window, compare};
pub use mean::{MeanMinute, MeanPath};
pub use options::{Clock, Options};
pub use reaction::{LeftOut, Minute, Path, Reaction};
pub use split::Split;
pub use symbol_study::SymbolStudy;
pub use walk::{AFTER, BEFORE};
pub use windows::{JOB, windows};

use events::Events;
use tape::Tape;

/// What came of a study.
#[derive(Clone, Debug, Default)]
pub struct Study {
    /// One a symbol that has bars or articles, by symbol.
    pub symbols: Vec<SymbolStudy>,
    /// The mean over the events of all symbols together.
    pub pooled: MeanPath,
    /// Articles without a symbol, which no price can be set beside.
    pub without_symbol: usize,
}

impl Study {
    /// The study of one symbol.
    pub fn symbol(&self, symbol: &str) -> Option<&SymbolStudy> {
        self.symbols.iter().find(|study| study.symbol == symbol)
    }
}

/// Studies what prices did around articles.
///
/// Bars and articles come in any order, in several versions and more than
/// once; of each the version received last counts. Heartbeats are ignored.
/// No article is dropped silently: each has its [`Reaction`], used or left out
/// with the reason.
pub fn study(bars: &[Bar], articles: &[Article], options: &Options) -> Study {
    let mut bars_of: BTreeMap<&str, Vec<&Bar>> = BTreeMap::new();
    for bar in bars.iter().filter(|bar| !bar.is_heartbeat()) {
        bars_of.entry(&bar.symbol).or_default().push(bar);
    }
    let mut articles_of: BTreeMap<&str, Vec<&Article>> = BTreeMap::new();
    let mut without_symbol = 0;
    for article in articles.iter().filter(|article| !article.is_heartbeat()) {
        match article.symbol.as_deref() {
            Some(symbol) => articles_of.entry(symbol).or_default().push(article),
            None => without_symbol += 1,
        }
    }

    let tapes: BTreeMap<&str, Tape> =
        bars_of.iter().map(|(&symbol, bars)| (symbol, Tape::new(bars, options.clock))).collect();
    let latest = tapes.values().filter_map(Tape::last).max();
    let names: BTreeSet<&str> = tapes.keys().chain(articles_of.keys()).copied().collect();
    let symbols: Vec<_> = names
        .into_iter()
        .map(|symbol| {
            let events = Events::new(articles_of.get(symbol).map_or(&[], Vec::as_slice), options.clock);
            SymbolStudy::new(symbol, tapes.get(symbol), &events, latest, options)
        })
        .collect();
    let used = symbols.iter().flat_map(SymbolStudy::used);
    let pooled = MeanPath::over(used, options);
    Study { pooled, symbols, without_symbol }
}
