//! A seeded, believable stock market with news, minute by minute: invented
//! prices and headlines under well-known names.
//!
//! What a day brings depends on the seed and the date alone. From the widest
//! to the finest: the chain carries prices from session to session,
//! an outline settles how far each goes over a day and which news
//! moves it, a path leads there minute by minute, following the market
//! as a whole, and a tape turns that into bars.

mod chain;
mod company;
mod draws;
mod effects;
mod headlines;
mod outline;
mod path;
mod profile;
pub mod sample;
mod tape;

use chrono::NaiveDate;
use model::calendar::Calendar;
use model::time::MINUTE;
use model::{Article, AssetClass, Bar};

pub use company::SYMBOLS;

use chain::{Chain, Link};
use company::{COMPANIES, Company, MARKET};
use draws::Draws;
use effects::Effects;
use outline::Outline;
use path::{Path, Setting};
use profile::Minute;
use tape::Tape;

/// When the simulated market trades: it is one of stocks.
pub const CALENDAR: Calendar = AssetClass::Stocks.calendar();

/// A market of twelve symbols that a seed determines wholly.
///
/// Generator and arithmetic are the same on every platform but for the last
/// bit of `exp` and `ln`, which rounding to cents and whole shares hides.
pub struct World {
    seed: u64,
    effects: Effects,
    chain: Chain,
}

/// What one session brings, from the start of pre-market to the end of post-market trading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Day {
    /// Ordered by start, then symbol; received at their end.
    pub bars: Vec<Bar>,
    /// Ordered by publication; received at once.
    pub articles: Vec<Article>,
}

impl World {
    /// The market of a seed.
    pub fn new(seed: u64) -> World {
        World { seed, effects: Effects::default(), chain: Chain::new() }
    }

    /// The session of a date in New York; none at weekends, on holidays and before 2000.
    ///
    /// The same for the same seed and date, whatever was asked before. The
    /// first day asked costs the sessions since 2000 as well, in outline.
    pub fn day(&self, date: NaiveDate) -> Option<Day> {
        let link = self.chain.link(self.seed, date, &self.effects)?;
        let outline = Outline::draw(self.seed, &link.session, link.mood, &self.effects);
        let minutes = profile::minutes(&link.session);
        let mut tapes = self.tapes(&link, &outline, &minutes);

        let mut bars = Vec::with_capacity(tapes.len() * minutes.len());
        for (index, minute) in minutes.iter().enumerate() {
            let start = link.session.pre_open + index as i64 * MINUTE;
            bars.extend(tapes.iter_mut().filter_map(|tape| tape.bar(index, minute, start)));
        }
        Some(Day { bars, articles: headlines::articles(self.seed, date, &outline) })
    }

    fn tapes(&self, link: &Link, outline: &Outline, minutes: &[Minute]) -> Vec<Tape<'static>> {
        let (begins, activity) = (link.session.pre_open, outline.activity);
        let setting = Setting { begins, minutes, activity, effects: &self.effects };
        let own = |index: usize| {
            let (company, plan) = (&COMPANIES[index], &outline.plans[index]);
            let mut draws = Draws::new(self.seed, company.symbol, link.session.date);
            let path = Path::own(company, plan, link.levels[index], &setting, &mut draws);
            (path, draws)
        };
        let (market, _) = own(MARKET);
        let tape = |(index, company): (usize, &'static Company)| {
            let (path, draws) = own(index);
            let path = if index == MARKET { path } else { path.follow(&market, company.beta) };
            Tape::new(company, path, draws, activity)
        };
        COMPANIES.iter().enumerate().map(tape).collect()
    }
}
