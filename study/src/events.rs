//! From articles to events: each article once, in order, and which follow another.

use std::collections::BTreeMap;

use model::Article;
use model::time::Millis;

use crate::options::Clock;

/// An article at the time at which it counts.
pub(crate) struct Event<'a> {
    pub article: &'a Article,
    /// Its publication, or by arrival when it was first seen, if later.
    pub at: Millis,
}

/// The events of one symbol, by time.
pub(crate) struct Events<'a> {
    pub all: Vec<Event<'a>>,
    /// Articles that came again, as another version or for another search term.
    pub repeated: usize,
}

impl<'a> Events<'a> {
    pub fn new(articles: &[&'a Article], clock: Clock) -> Events<'a> {
        let mut versions: BTreeMap<&str, Vec<&'a Article>> = BTreeMap::new();
        for article in articles {
            versions.entry(&article.id).or_default().push(article);
        }
        let repeated = articles.len() - versions.len();
        let mut all: Vec<_> = versions.into_values().filter_map(|versions| event(&versions, clock)).collect();
        // Stable: at the same time, by identity.
        all.sort_by_key(|event| event.at);
        Events { all, repeated }
    }

    /// Whether an article lies no further than `reach` from `at`.
    pub fn any_around(&self, at: Millis, reach: Millis) -> bool {
        let from = self.all.partition_point(|event| event.at < at - reach);
        self.all.get(from).is_some_and(|event| event.at <= at + reach)
    }

    /// The article before the event at `index`, if it lies no further back than `reach`.
    pub fn followed(&self, index: usize, reach: Millis) -> Option<&Event<'a>> {
        let before = self.all.get(index.checked_sub(1)?)?;
        (self.all[index].at - before.at <= reach).then_some(before)
    }
}

/// The version received last, at the time of the version that the clock goes by.
fn event<'a>(versions: &[&'a Article], clock: Clock) -> Option<Event<'a>> {
    let article = *versions.iter().max_by_key(|article| article.received_timestamp)?;
    let at = match clock {
        Clock::Event => article.published_timestamp,
        Clock::Arrival => {
            let first_seen = versions.iter().map(|article| article.received_timestamp).min()?;
            article.published_timestamp.max(first_seen)
        }
    };
    Some(Event { article, at })
}
