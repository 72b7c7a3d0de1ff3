//! The way of a price through the minutes of a day.

use model::time::{MINUTE, Millis};

use crate::company::Company;
use crate::draws::Draws;
use crate::effects::{Effects, SPREAD, Story};
use crate::outline::Plan;
use crate::profile::Minute;

/// What a session is the same in for all symbols.
pub(crate) struct Setting<'a> {
    /// The start of its first minute.
    pub begins: Millis,
    pub minutes: &'a [Minute],
    pub activity: f64,
    pub effects: &'a Effects,
}

/// A log price at the bounds of a day's minutes, and what news adds to them.
pub(crate) struct Path {
    /// At the start of each minute, and at the end of the last.
    pub levels: Vec<f64>,
    /// Deviation of the log return of each minute.
    pub volatility: Vec<f64>,
    /// What each minute's volume is multiplied with after news.
    pub interest: Vec<f64>,
    /// Whether trading pauses.
    pub halted: Vec<bool>,
}

/// What one session's news does to one symbol, minute by minute.
struct Stir {
    jumps: Vec<f64>,
    volatility: Vec<f64>,
    interest: Vec<f64>,
    halted: Vec<bool>,
}

impl Path {
    /// The company's own way, the market's left out, from `level` by exactly
    /// what the plan says: a random walk bent to its end as a Brownian bridge,
    /// and the jumps of the news, which the bridge does not take back.
    pub fn own(company: &Company, plan: &Plan, level: f64, setting: &Setting<'_>, draws: &mut Draws) -> Path {
        let stir = Stir::of(&plan.stories, company, setting);
        let calm = company.volatility * setting.activity;
        let usual = setting.minutes.iter().map(|minute| calm * minute.variance.sqrt());
        let volatility: Vec<f64> =
            usual.zip(&stir.volatility).map(|(usual, stirred)| usual * stirred).collect();
        let steps: Vec<f64> = volatility.iter().map(|deviation| deviation * draws.normal()).collect();
        let variance: f64 = volatility.iter().map(|deviation| deviation * deviation).sum();
        let bend = (plan.diffusion - steps.iter().sum::<f64>()) / variance;

        let mut levels = Vec::with_capacity(steps.len() + 1);
        levels.push(level);
        let mut level = level;
        for ((step, deviation), jump) in steps.iter().zip(&volatility).zip(&stir.jumps) {
            level += step + deviation * deviation * bend + jump;
            levels.push(level);
        }
        Path { levels, volatility, interest: stir.interest, halted: stir.halted }
    }

    /// Adds the market's way, `beta` times over.
    pub fn follow(mut self, market: &Path, beta: f64) -> Path {
        let start = market.levels[0];
        for (level, markets) in self.levels.iter_mut().zip(&market.levels) {
            *level += beta * (markets - start);
        }
        for (deviation, markets) in self.volatility.iter_mut().zip(&market.volatility) {
            *deviation = (*deviation * *deviation + (beta * markets).powi(2)).sqrt();
        }
        self
    }
}

impl Stir {
    fn of(stories: &[Story], company: &Company, setting: &Setting<'_>) -> Stir {
        let minutes = setting.minutes.len();
        let mut stir = Stir {
            jumps: vec![0.0; minutes],
            volatility: vec![1.0; minutes],
            interest: vec![1.0; minutes],
            halted: vec![false; minutes],
        };
        for story in stories.iter().filter(|story| story.jump != 0.0) {
            // The first whole minute after publication: no price knows the news before it is out.
            let first = ((story.published - setting.begins) / MINUTE + 1) as usize;
            stir.add(story, first.min(minutes - 1), company, setting.effects);
        }
        stir
    }

    fn add(&mut self, story: &Story, first: usize, company: &Company, effects: &Effects) {
        let last = self.jumps.len() - 1;
        for (minute, share) in (first..).zip(SPREAD) {
            self.jumps[minute.min(last)] += story.jump * share;
        }
        for minute in (first + 1..=last).take(story.halt) {
            self.halted[minute] = true;
        }
        let size = (story.jump / company.volatility).abs();
        // After five times the fade, a hundredth is left.
        for minute in (first..=last).take((5.0 * effects.fade) as usize) {
            let left = (-((minute - first) as f64) / effects.fade).exp();
            self.volatility[minute] += effects.stirred_volatility * size * left;
            self.interest[minute] += effects.stirred_volume * size * left;
        }
    }
}
