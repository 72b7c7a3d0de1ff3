//! No news at all; the heartbeats are written without it.

use model::Article;
use model::time::Millis;

use super::Source;

pub(crate) struct Silence;

impl Source for Silence {
    fn name(&self) -> String {
        "no news".into()
    }

    fn next_before(&mut self, _until: Millis) -> Option<Article> {
        None
    }
}
