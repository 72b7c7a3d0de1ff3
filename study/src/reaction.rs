//! What happened around one article, beside what is normal.

use model::time::Millis;

use crate::baseline::Baseline;
use crate::estimate::t_quantile;
use crate::options::Options;
use crate::split::Split;
use crate::walk::{BEFORE, Walk};

/// One article and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reaction {
    /// The article's symbol.
    pub symbol: String,
    /// The article's identity.
    pub id: String,
    /// The event's time: publication, or by arrival when it was first seen.
    pub at: Millis,
    /// Why it is not among those that statistics are made of; none if it is.
    pub left_out: Option<LeftOut>,
    /// Prices around it, where there are any, left out or not.
    pub path: Option<Path>,
}

/// The window around one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The last price known at the event's time.
    pub reference_price: f64,
    /// From when on it was known.
    pub reference_known: Millis,
    /// How many quiet sessions the baseline has.
    pub sessions: usize,
    /// From −[`BEFORE`] to [`crate::AFTER`], one each.
    pub minutes: Vec<Minute>,
}

/// One minute of a window. Returns are logs, so 0.01 is about one percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Minute {
    /// Counted from the event's own, which is 0.
    pub minute: i64,
    /// Log return from the reference price to the minute's end.
    pub log_return: Option<f64>,
    /// Shares or units traded in the minute; none where volume means nothing.
    pub volume: Option<f64>,
    /// Return of the minute over what is normal for it.
    pub abnormal_return: Option<f64>,
    /// Cumulative abnormal return since the reference price: `log_return` less
    /// the mean of the baseline's. Before the event it ends at about 0; its
    /// negative is what the price had already done by then.
    pub cumulative: Option<f64>,
    /// Standard error of `cumulative`, s·√(1 + 1/n) over the baseline's n
    /// sessions: what a quiet session would differ from their mean.
    pub standard_error: Option<f64>,
    /// `cumulative` with its confidence band, by Student's t with n − 1 degrees of freedom.
    pub band: Option<(f64, f64)>,
    /// ln(1 + volume) less its mean in the baseline; e to its power is how
    /// many times the usual volume it is.
    pub abnormal_volume: Option<f64>,
}

/// Why an article is kept out of the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// No bar of the symbol is there.
    NoBars,
    /// It came out before the symbol's first bar.
    BeforeFirstBar,
    /// It came out after the last bar of all, as far as is known in the future.
    AfterLastBar,
    /// It came out at night, at a weekend or on a holiday.
    MarketClosed,
    /// It came out within an hour after another article on the symbol.
    FollowsAnother,
    /// No price was known in the half hour before it.
    NoPriceBefore,
    /// Nobody traded in the hour after it: the symbol had stopped trading.
    NoPriceAfter,
    /// A split lies in its window.
    Split,
    /// Fewer quiet sessions came before it than a baseline needs.
    FewSessions,
}

impl LeftOut {
    /// The reason in words that fit after "left out: ".
    pub fn reason(self) -> &'static str {
        match self {
            LeftOut::NoBars => "no bars of the symbol",
            LeftOut::BeforeFirstBar => "published before the symbol's first bar",
            LeftOut::AfterLastBar => "published after the last bar there is",
            LeftOut::MarketClosed => "published while the market was closed",
            LeftOut::FollowsAnother => "within an hour after another article",
            LeftOut::NoPriceBefore => "no price in the half hour before",
            LeftOut::NoPriceAfter => "no price in the hour after",
            LeftOut::Split => "a split in the price path",
            LeftOut::FewSessions => "too few quiet sessions before it to compare with",
        }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl Path {
    pub(crate) fn new(walk: &Walk, baseline: &Baseline, has_volume: bool, options: &Options) -> Path {
        let mut minutes: Vec<Minute> = Vec::with_capacity(walk.returns.len());
        for (index, (&log_return, &volume)) in walk.returns.iter().zip(&walk.volumes).enumerate() {
            let minute = index as i64 - BEFORE;
            let before = minutes.last().and_then(|before| before.cumulative);
            let shown = volume.filter(|_| has_volume);
            minutes.push(Minute { minute, log_return, volume: shown, ..Minute::default() });
            let (Some(log_return), Some(volume), Some(norm)) = (log_return, volume, baseline.norm(index))
            else {
                continue;
            };
            let cumulative = log_return - norm.mean;
            let error = (norm.variance * (1.0 + 1.0 / norm.sessions as f64)).sqrt();
            let reach = t_quantile(norm.sessions - 1, options.confidence) * error;
            minutes[index] = Minute {
                abnormal_return: before.map(|before| cumulative - before),
                cumulative: Some(cumulative),
                standard_error: Some(error),
                band: Some((cumulative - reach, cumulative + reach)),
                abnormal_volume: has_volume.then(|| volume.ln_1p() - norm.log_volume),
                ..minutes[index]
            };
        }
        let (reference_price, reference_known) = (walk.reference.close, walk.reference.known);
        Path { reference_price, reference_known, sessions: baseline.sessions(), minutes }
    }

    /// A minute of the window, counted from the event's own; none outside it.
    pub fn minute(&self, minute: i64) -> Option<&Minute> {
        self.minutes.get(usize::try_from(minute + BEFORE).ok()?)
    }

    /// The last minute that has a price.
    pub fn last(&self) -> Option<&Minute> {
        self.minutes.iter().rev().find(|minute| minute.log_return.is_some())
    }
}

impl Reaction {
    /// Whether statistics are made of it.
    pub fn is_used(&self) -> bool {
        self.left_out.is_none()
    }
}

/// Whether a split keeps the window around `at` out.
pub(crate) fn crosses_split(splits: &[Split], at: Millis) -> bool {
    splits.iter().any(|split| split.is_within(at))
}
