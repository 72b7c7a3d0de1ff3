//! From session to session: where each price and the market's mood stand when a day begins.
//!
//! A session begins where the one before it ended, plus an overnight move,
//! plus a small pull back towards the company's usual price, without which the
//! prices of twenty years would run away. The chain starts at the usual prices
//! on the first session of 2000. A link takes a few microseconds; links once
//! computed are kept, so that a day costs the chain only once.

use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use model::calendar::SessionDay;

use crate::CALENDAR;
use crate::company::{COMPANIES, COUNT};
use crate::effects::Effects;
use crate::outline::Outline;

/// The state of the market as a session begins.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub session: SessionDay,
    /// The log price of each company.
    pub levels: [f64; COUNT],
    pub mood: f64,
}

/// The links so far, from the first session on without a hole.
pub(crate) struct Chain(Mutex<Vec<Link>>);

/// No session before this date is simulated.
const BEGINNING: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a date");

/// The share of its distance from the usual price that a price loses in a session.
const PULL: f64 = 1.0 / 200.0;

impl Chain {
    pub const fn new() -> Chain {
        Chain(Mutex::new(Vec::new()))
    }

    /// The link of a date; none where there is no session or the chain has not begun.
    pub fn link(&self, seed: u64, date: NaiveDate, effects: &Effects) -> Option<Link> {
        if date < BEGINNING {
            return None;
        }
        CALENDAR.session(date)?;
        // A link is pushed whole or not at all, so a panic elsewhere leaves the chain in order.
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = links.last().copied().unwrap_or_else(Link::first);
        if links.is_empty() {
            links.push(last);
        }
        while last.session.date < date {
            last = last.next(seed, effects);
            links.push(last);
        }
        let index = links.binary_search_by_key(&date, |link| link.session.date).ok()?;
        Some(links[index])
    }
}

impl Link {
    fn first() -> Link {
        let session = CALENDAR.next_session(BEGINNING);
        Link { session, levels: COMPANIES.each_ref().map(|company| company.price.ln()), mood: 0.0 }
    }

    fn next(&self, seed: u64, effects: &Effects) -> Link {
        let outline = Outline::draw(seed, &self.session, self.mood, effects);
        let levels = std::array::from_fn(|company| {
            let end = self.levels[company] + outline.day_return(company);
            let pull = PULL * (COMPANIES[company].price.ln() - end);
            end + outline.overnight_return(company) + pull
        });
        Link { session: CALENDAR.next_session(self.session.date), levels, mood: outline.next_mood }
    }
}
