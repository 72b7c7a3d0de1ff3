//! A market whose news does exactly what was planted, and nothing else.

use model::calendar::SessionDay;
use model::time::{MINUTE, SECOND};
use model::{Article, Bar};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::harness::{STOCKS, article, bar};

/// What news does to the log price.
#[derive(Clone, Copy)]
pub struct Plant {
    /// The mean of the jump in the first whole minute after publication.
    pub jump: f64,
    /// The deviation of jumps from their mean.
    pub spread: f64,
    /// The drift of each of the [`DRIFTING`] minutes from then on.
    pub drift: f64,
}

pub const NOTHING: Plant = Plant { jump: 0.0, spread: 0.0, drift: 0.0 };
/// So many minutes drift after news.
pub const DRIFTING: i64 = 30;
/// From the middle of February on: over the change to summer time.
const FIRST: &str = "2024-02-12";
const SESSIONS: usize = 45;

impl Plant {
    /// What was planted, up to the end of a minute after publication.
    pub fn by(&self, minute: i64) -> f64 {
        if minute < 1 { 0.0 } else { self.jump + self.drift * minute.min(DRIFTING) as f64 }
    }
}

struct Draws(ChaCha8Rng);

impl Draws {
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// Regular sessions of one symbol whose days differ in how volatile they are,
/// whose volatility, volume and trend depend on the time of day, and which has
/// news at a random time of most days.
pub fn play(seed: u64, plant: Plant) -> (Vec<Bar>, Vec<Article>) {
    let mut draws = Draws(ChaCha8Rng::seed_from_u64(seed));
    let (mut bars, mut articles) = (Vec::new(), Vec::new());
    let mut session = STOCKS.session(FIRST.parse().unwrap()).unwrap();
    let mut price = 100.0_f64.ln();
    for _ in 0..SESSIONS {
        let news = (draws.uniform() < 0.8).then(|| 45 + (draws.uniform() * 270.0) as i64);
        if let Some(minute) = news {
            let published = session.open + minute * MINUTE + (draws.uniform() * 59.0) as i64 * SECOND;
            articles.push(article(&session.date.to_string(), published));
        }
        price = day(&session, news, plant, price, &mut draws, &mut bars);
        session = STOCKS.next_session(session.date);
    }
    (bars, articles)
}

fn day(
    session: &SessionDay,
    news: Option<i64>,
    plant: Plant,
    mut price: f64,
    draws: &mut Draws,
    bars: &mut Vec<Bar>,
) -> f64 {
    let minutes = (session.close - session.open) / MINUTE;
    let jump = plant.jump + plant.spread * draws.normal();
    let restless = (0.3 * draws.normal()).exp();
    price += 0.005 * draws.normal();
    for minute in 0..minutes {
        // Busy in the morning and the evening, and rising a little all day.
        let middle = 2.0 * minute as f64 / minutes as f64 - 1.0;
        let busy = 0.6 + 0.8 * middle * middle;
        price += 0.000_02 * middle + 0.000_01 + 0.000_5 * busy * restless * draws.normal();
        if let Some(since) = news.map(|news| minute - news).filter(|since| *since >= 1) {
            price += if since == 1 { jump } else { 0.0 };
            price += if since <= DRIFTING { plant.drift } else { 0.0 };
        }
        let volume = (10_000.0 * busy * (0.3 * draws.normal()).exp()).round();
        bars.push(bar(session.open + minute * MINUTE, price.exp(), volume));
    }
    price
}
