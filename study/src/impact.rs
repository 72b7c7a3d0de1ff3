//! How often prices jump in windows with news, and in windows without.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use model::AssetClass;
use model::time::Millis;

use crate::estimate::t_quantile;
use crate::split::Split;

/// A window counts as one with jumps when jumps make up more than this share of
/// its variance. In a window of 30 bars without jumps that happens about once
/// in a hundred: with n = 29 returns of constant volatility the share has a
/// deviation of √((π²/4 + π − 5)/n) = 0.145, 2.33 times which is 0.34. Huang
/// and Tauchen, 2005, "The Relative Contribution of Jumps to Total Price
/// Variance", Journal of Financial Econometrics 3.
pub const JUMP: f64 = 0.34;

/// One row of a windowed job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Its start.
    pub start: Millis,
    /// Its end, exclusive.
    pub end: Millis,
    /// The number of distinct articles in it.
    pub articles: u64,
    /// The share of jumps in its variance; none where it cannot be told.
    pub jump_share: Option<f64>,
    /// Its realized volatility, in total; none where it cannot be told.
    pub realized: Option<f64>,
}

/// Whether a window has news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// At least one article.
    With,
    /// None.
    Without,
}

/// Windows with news beside windows without.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Those with news.
    pub with_news: Share,
    /// Those without.
    pub without_news: Share,
    /// Windows kept out because a split lies in them.
    pub splits: usize,
}

/// How many of some windows have jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// All windows.
    pub windows: usize,
    /// Those with jumps.
    pub jumps: usize,
    /// The sessions that they are of.
    pub sessions: usize,
    /// The mean realized volatility of the windows; none of no windows.
    pub realized: Option<f64>,
    /// The confidence band of the share; none with fewer than two sessions.
    /// Windows overlap, so sessions are what is independent: the error is that
    /// of a ratio over clusters.
    pub band: Option<(f64, f64)>,
}

impl Share {
    /// Jumps per window; none of no windows.
    pub fn share(&self) -> Option<f64> {
        (self.windows > 0).then(|| self.jumps as f64 / self.windows as f64)
    }
}

/// Compares the windows of one symbol of a class. Only those wholly within one stretch
/// of trading, of stocks a regular session, are taken: outside, too few bars make a window.
pub fn compare(class: AssetClass, windows: &[Window], splits: &[Split], confidence: f64) -> Comparison {
    let calendar = class.calendar();
    let mut by_session: BTreeMap<NaiveDate, [Count; 2]> = BTreeMap::new();
    let mut left_out = 0;
    for window in windows {
        let Some(share) = window.jump_share else { continue };
        let since = calendar.trading_since(window.start);
        if since.is_none() || calendar.trading_since(window.end - 1) != since {
            continue;
        }
        if splits.iter().any(|split| window.start < split.at && split.at <= window.end) {
            left_out += 1;
            continue;
        }
        let counts = by_session.entry(calendar.date_of(window.start)).or_default();
        let count = &mut counts[usize::from(window.articles > 0)];
        count.windows += 1;
        count.jumps += usize::from(share > JUMP);
        count.realized += window.realized.unwrap_or(0.0);
    }
    let share = |news: News| {
        let at = usize::from(news == News::With);
        let counts = by_session.values().map(|counts| counts[at]).filter(|count| count.windows > 0);
        share(&counts.collect::<Vec<_>>(), confidence)
    };
    Comparison { with_news: share(News::With), without_news: share(News::Without), splits: left_out }
}

/// The windows of one session.
#[derive(Clone, Copy, Default)]
struct Count {
    windows: usize,
    jumps: usize,
    /// The sum of their realized volatilities.
    realized: f64,
}

/// The share over sessions, with its error as a ratio over clusters.
fn share(sessions: &[Count], confidence: f64) -> Share {
    let windows = sessions.iter().map(|count| count.windows).sum();
    let jumps = sessions.iter().map(|count| count.jumps).sum();
    let mut share = Share { windows, jumps, sessions: sessions.len(), ..Share::default() };
    let Some(ratio) = share.share() else { return share };
    share.realized = Some(sessions.iter().map(|count| count.realized).sum::<f64>() / windows as f64);
    if let count @ 2.. = sessions.len() {
        let residual = |count: &Count| (count.jumps as f64 - ratio * count.windows as f64).powi(2);
        let squares: f64 = sessions.iter().map(residual).sum();
        let error = (squares * count as f64 / (count - 1) as f64).sqrt() / windows as f64;
        let reach = t_quantile(count - 1, confidence) * error;
        share.band = Some(((ratio - reach).max(0.0), (ratio + reach).min(1.0)));
    }
    share
}
