//! A session in outline: how far each price goes over the day, and the news that moves it.

use model::calendar::SessionDay;

use crate::company::{COMPANIES, COUNT, MARKET};
use crate::draws::Draws;
use crate::effects::{Effects, Story};

/// What is settled about a session before its minutes are drawn.
pub(crate) struct Outline {
    /// How lively the day is: scales volatility and volume, 1 on an ordinary day.
    pub activity: f64,
    /// One for each company.
    pub plans: [Plan; COUNT],
    /// The mood of the next session; see [`Outline::draw`].
    pub next_mood: f64,
}

/// One company's own part of a session, the market's left out; all in log returns.
pub(crate) struct Plan {
    /// From the first to the last minute of trading, news left out.
    pub diffusion: f64,
    /// From the end of trading to the next session's start.
    pub overnight: f64,
    /// The day's news.
    pub stories: Vec<Story>,
}

/// How much of the mood is left a session later.
const PERSISTENCE: f64 = 0.95;
const MOOD_SHOCK: f64 = 0.08;
/// A half day moves and trades less.
const HALF_DAY: f64 = 0.75;
/// An overnight move in daily volatilities, and the farthest that one goes.
const OVERNIGHT: f64 = 0.45;
const FARTHEST_OVERNIGHT: f64 = 0.04;

impl Outline {
    /// Draws a session's outline. The mood is the log of the market's
    /// liveliness: it wanders slowly, so that lively days come in spells.
    pub fn draw(seed: u64, session: &SessionDay, mood: f64, effects: &Effects) -> Outline {
        let mut draws = Draws::new(seed, "outline", session.date);
        let activity = mood.exp() * if session.half_day { HALF_DAY } else { 1.0 };
        let plans = COMPANIES.each_ref().map(|company| Plan {
            diffusion: company.volatility * activity * draws.normal(),
            overnight: company.volatility * activity * OVERNIGHT * draws.normal(),
            stories: effects.stories(company, session, &mut draws),
        });
        Outline { activity, plans, next_mood: PERSISTENCE * mood + MOOD_SHOCK * draws.normal() }
    }

    /// The log return of a company from the first to the last minute of trading.
    pub fn day_return(&self, company: usize) -> f64 {
        self.with_market(company, Plan::day_return)
    }

    /// The log return of a company from the end of trading to the next session's start.
    pub fn overnight_return(&self, company: usize) -> f64 {
        self.with_market(company, |plan| plan.overnight).clamp(-FARTHEST_OVERNIGHT, FARTHEST_OVERNIGHT)
    }

    fn with_market(&self, company: usize, part: impl Fn(&Plan) -> f64) -> f64 {
        let own = part(&self.plans[company]);
        if company == MARKET { own } else { own + COMPANIES[company].beta * part(&self.plans[MARKET]) }
    }
}

impl Plan {
    fn day_return(&self) -> f64 {
        self.diffusion + self.stories.iter().map(|story| story.jump).sum::<f64>()
    }
}
