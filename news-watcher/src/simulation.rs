//! The news of the simulated market.

use std::collections::VecDeque;

use chrono::NaiveDate;
use model::Article;
use model::time::Millis;
use simulation::World;

use crate::follow::Source;

pub(crate) struct Simulation {
    seed: u64,
    world: World,
    /// The session whose articles are being taken.
    session: Option<NaiveDate>,
    articles: VecDeque<Article>,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Simulation {
        Simulation { seed, world: World::new(seed), session: None, articles: VecDeque::new() }
    }

    fn open(&mut self, date: NaiveDate) {
        let mut articles = self.world.day(date).unwrap_or_default().articles;
        articles.sort_by(|a, b| (a.published_timestamp, &a.id).cmp(&(b.published_timestamp, &b.id)));
        self.session = Some(date);
        self.articles = articles.into();
    }
}

impl Source for Simulation {
    fn name(&self) -> String {
        format!("simulation (seed {})", self.seed)
    }

    fn is_simulated(&self) -> bool {
        true
    }

    /// Opens the session that `from` lies in or after.
    fn begin(&mut self, from: Millis) {
        let date = simulation::CALENDAR.date_of(from);
        let session = simulation::CALENDAR.session(date).filter(|session| session.pre_open <= from);
        self.open(session.unwrap_or_else(|| simulation::CALENDAR.previous_session(date)).date);
    }

    fn next_before(&mut self, until: Millis) -> Option<Article> {
        while self.articles.is_empty() {
            let next = simulation::CALENDAR.next_session(self.session?);
            if next.pre_open >= until {
                return None;
            }
            self.open(next.date);
        }
        self.articles.pop_front_if(|article| article.published_timestamp < until)
    }
}
