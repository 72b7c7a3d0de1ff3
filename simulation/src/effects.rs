//! What news does to prices: how often it moves them, how far, and what it leaves behind.

use model::calendar::{Phase, SessionDay};
use model::time::{HOUR, MINUTE, Millis, SECOND};

use crate::CALENDAR;
use crate::company::Company;
use crate::draws::Draws;

/// A piece of news before it has a headline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Story {
    /// Publication, in whole seconds.
    pub published: Millis,
    /// The log return that it causes; 0 for most.
    pub jump: f64,
    /// How many minutes trading then pauses; 0 for most.
    pub halt: usize,
}

/// How the market takes news.
pub(crate) struct Effects {
    /// The share of stories that move their price; the others change nothing.
    moving: f64,
    /// The smallest jump and the mean beyond it, in daily volatilities.
    smallest: f64,
    beyond: f64,
    /// The share of jumps that are violent, and how many times larger those are.
    violent: f64,
    violence: f64,
    /// No jump is larger, as a log return.
    largest: f64,
    /// A jump of this size in the session pauses trading, as the exchanges' price bands do.
    halting: f64,
    /// Volatility and volume that a jump adds for each daily volatility of its
    /// size, as multiples of the ordinary, and the minutes in which they fade
    /// to a third.
    pub stirred_volatility: f64,
    pub stirred_volume: f64,
    pub fade: f64,
}

/// How a jump is spread over the minutes after publication.
pub(crate) const SPREAD: [f64; 3] = [0.6, 0.25, 0.15];

/// Stories an hour, relative to each other, from 04:00 in New York.
const HOURLY: [f64; 16] = [0.3, 0.5, 1.0, 1.6, 2.0, 2.0, 1.6, 1.1, 0.9, 0.8, 0.9, 1.0, 1.4, 0.8, 0.4, 0.2];

impl Default for Effects {
    fn default() -> Effects {
        Effects {
            moving: 0.15,
            smallest: 0.4,
            beyond: 0.6,
            violent: 0.15,
            violence: 3.0,
            largest: 0.09,
            halting: 0.045,
            stirred_volatility: 0.8,
            stirred_volume: 2.0,
            fade: 12.0,
        }
    }
}

impl Effects {
    /// The stories of a company on one day, by publication.
    pub fn stories(&self, company: &Company, session: &SessionDay, draws: &mut Draws) -> Vec<Story> {
        let mut stories: Vec<Story> = (0..draws.poisson(company.stories))
            .map(|_| self.story(company, session, draws))
            // A half day is over before the afternoon's news.
            .filter(|story| story.published < session.post_close)
            .collect();
        stories.sort_by_key(|story| story.published);
        stories
    }

    fn story(&self, company: &Company, session: &SessionDay, draws: &mut Draws) -> Story {
        let published = publication(session, draws);
        if !draws.chance(self.moving) {
            return Story { published, jump: 0.0, halt: 0 };
        }
        let violence = if draws.chance(self.violent) { self.violence } else { 1.0 };
        let size = (self.smallest + self.beyond * draws.exponential()) * violence * company.volatility;
        let jump = if draws.chance(0.5) { size.min(self.largest) } else { -size.min(self.largest) };
        let pause = 5 + draws.below(6);
        let pauses = size >= self.halting && CALENDAR.phase(published + MINUTE) == Phase::Regular;
        Story { published, jump, halt: if pauses { pause } else { 0 } }
    }
}

fn publication(session: &SessionDay, draws: &mut Draws) -> Millis {
    let mut left = draws.uniform() * HOURLY.iter().sum::<f64>();
    let hour = HOURLY.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    let second = draws.below((HOUR / SECOND) as usize) as Millis;
    session.pre_open + hour.unwrap_or(0) as Millis * HOUR + second * SECOND
}
