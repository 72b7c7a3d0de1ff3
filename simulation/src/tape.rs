//! From the way of a price to its minute bars.

use model::calendar::Phase;
use model::time::{MINUTE, Millis};
use model::{Bar, Source};

use crate::company::Company;
use crate::draws::Draws;
use crate::path::Path;
use crate::profile::Minute;

/// The trades of one symbol on one day, read minute after minute.
pub(crate) struct Tape<'a> {
    company: &'a Company,
    path: Path,
    draws: Draws,
    activity: f64,
}

/// The prices of a minute in which trading is busy.
const BUSY: usize = 7;
/// The volume of a day, in shares, from which on a symbol counts as one of the most traded.
const MOST_TRADED: f64 = 60e6;

impl<'a> Tape<'a> {
    pub fn new(company: &'a Company, path: Path, draws: Draws, activity: f64) -> Tape<'a> {
        Tape { company, path, draws, activity }
    }

    /// The bar of minute `index`, which starts at `start`; none without a trade.
    pub fn bar(&mut self, index: usize, minute: &Minute, start: Millis) -> Option<Bar> {
        let interest = self.path.interest[index];
        let regular = minute.phase == Phase::Regular;
        let trades = if regular { 1.0 } else { self.extended_hours(minute.trades, interest) };
        if self.path.halted[index] || !self.draws.chance(trades) {
            return None;
        }
        let prices = if regular { BUSY } else { 1 + self.draws.below(4) };
        let [open, high, low, close] = self.walk(index, prices).map(to_cents);
        Some(Bar {
            symbol: self.company.symbol.to_owned(),
            open,
            high,
            low,
            close,
            vwap: None,
            volume: self.volume(index, minute.volume / trades, interest),
            accumulated_volume: None,
            official_open_price: None,
            aggregate_vwap: None,
            average_size: None,
            start_timestamp: start,
            end_timestamp: start + MINUTE,
            otc: None,
            source: Source::Simulation,
            received_timestamp: start + MINUTE,
            complete_until: 0,
            position: None,
        })
    }

    /// The probability of a trade outside the session, where only the most
    /// traded symbols and those in the news are at all busy.
    fn extended_hours(&self, most_traded: f64, interest: f64) -> f64 {
        let popularity = (self.company.volume / MOST_TRADED).sqrt().clamp(0.25, 1.0);
        (most_traded * popularity * interest).min(0.98)
    }

    /// Open, high, low and close, as log prices, of a walk of so many prices
    /// that ends where the minute ends.
    fn walk(&mut self, index: usize, prices: usize) -> [f64; 4] {
        let (from, to) = (self.path.levels[index], self.path.levels[index + 1]);
        let deviation = self.path.volatility[index] / (prices as f64).sqrt();
        let mut free = [0.0; BUSY];
        let mut end = 0.0;
        for price in &mut free[..prices] {
            end += deviation * self.draws.normal();
            *price = end;
        }
        let bend = (to - from - end) / prices as f64;
        let bent = |count: usize| from + free[count - 1] + bend * count as f64;
        let (open, close) = (bent(1), bent(prices));
        let (mut high, mut low) = (open.max(close), open.min(close));
        for count in 2..prices {
            high = high.max(bent(count));
            low = low.min(bent(count));
        }
        [open, high, low, close]
    }

    /// Whole shares; more where the price moves more than usual.
    fn volume(&mut self, index: usize, share: f64, interest: f64) -> f64 {
        let moved = (self.path.levels[index + 1] - self.path.levels[index]).abs();
        let movement = 0.75 + 0.3 * (moved / self.path.volatility[index]).min(6.0);
        let noise = (0.35 * self.draws.normal()).exp();
        (self.company.volume * self.activity * share * interest * movement * noise).round().max(1.0)
    }
}

/// A price in dollars and whole cents, as stocks are quoted.
fn to_cents(log_price: f64) -> f64 {
    (log_price.exp() * 100.0).round().max(1.0) / 100.0
}
