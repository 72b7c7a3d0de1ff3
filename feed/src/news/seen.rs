//! The articles that stand on the topic, so that each version is written once
//! and the publication stays as it was first seen.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use log::{Log, LogError, each_record};
use model::article::BadArticle;
use model::time::{DAY, Millis};
use model::topic::NEWS_ARTICLES;
use model::{Article, Source};

use super::Item;

/// An article that no search has found for so long is forgotten.
const KEPT: Millis = 30 * DAY;
/// Articles that are known at once: what the whole Guardian publishes in years. Beyond
/// that the tenth that was found longest ago is forgotten; one of them that is found
/// again is written again, as another version of the same point.
const MOST: usize = 200_000;

/// See the module.
#[derive(Debug, Default)]
pub struct SeenArticles {
    articles: HashMap<String, Sighted>,
}

#[derive(Debug)]
struct Sighted {
    /// As first seen.
    published: Millis,
    last_seen: Millis,
    /// The last version for each symbol and term.
    versions: BTreeMap<(Option<String>, String), Version>,
}

#[derive(Debug)]
struct Version {
    content: u64,
    updated: Option<Millis>,
    received: Millis,
}

/// What is to be done with an article that was found.
#[derive(Debug)]
pub enum Sighting {
    /// It is new for its symbol and term.
    New(Article),
    /// It has been edited.
    Edited(Article),
    /// It stands there as it is.
    Unchanged,
}

impl SeenArticles {
    /// Reads what the log holds; `each` is told of every article as it first came.
    pub async fn read(log: &dyn Log, mut each: impl FnMut(&Article)) -> Result<SeenArticles, LogError> {
        let mut known = SeenArticles::default();
        each_record(log, &NEWS_ARTICLES, |record| {
            let article = serde_json::from_slice::<Article>(&record.value).ok();
            if let Some(article) =
                article.filter(|article| !article.is_heartbeat() && known.remember(article))
            {
                each(&article);
            }
        })
        .await?;
        Ok(known)
    }

    /// What `item` is for an entry: its version, where there is one to be written.
    ///
    /// # Errors
    /// When it is no article that the topic takes.
    pub fn sight(
        &self,
        item: &Item,
        source: Source,
        symbol: Option<&str>,
        term: &str,
        now: Millis,
    ) -> Result<Sighting, BadArticle> {
        let sighted = self.articles.get(&item.id);
        let before = sighted.and_then(|s| s.versions.get(&(symbol.map(Into::into), term.to_owned())));
        let article = Article {
            id: item.id.clone(),
            symbol: symbol.map(Into::into),
            search_term: term.to_owned(),
            headline: item.headline.clone(),
            url: item.url.clone(),
            kind: item.kind.clone(),
            section_id: item.section_id.clone(),
            section_name: item.section_name.clone(),
            pillar: item.pillar.clone(),
            published_timestamp: sighted.map_or(item.published, |sighted| sighted.published),
            updated_timestamp: item.updated,
            source,
            // Versions stay in order even when the clock is put back.
            received_timestamp: before.map_or(now, |before| now.max(before.received)),
            complete_until: 0,
            position: None,
        };
        article.check()?;
        Ok(match before {
            None => Sighting::New(article),
            // A copy of the index that lags behind must not bring an old version back.
            Some(before) if item.updated < before.updated || content(&article) == before.content => {
                Sighting::Unchanged
            }
            Some(_) => Sighting::Edited(article),
        })
    }

    /// Notes a version that has been written; returns whether it is the first of its record.
    pub fn remember(&mut self, article: &Article) -> bool {
        if self.articles.len() >= MOST && !self.articles.contains_key(&article.id) {
            self.forget_a_tenth();
        }
        let sighted = self.articles.entry(article.id.clone()).or_insert_with(|| Sighted {
            published: article.published_timestamp,
            last_seen: article.received_timestamp,
            versions: BTreeMap::new(),
        });
        sighted.last_seen = sighted.last_seen.max(article.received_timestamp);
        let version = Version {
            content: content(article),
            updated: article.updated_timestamp,
            received: article.received_timestamp,
        };
        let record = (article.symbol.clone(), article.search_term.clone());
        sighted.versions.insert(record, version).is_none()
    }

    /// Notes that a search still finds it.
    pub fn touch(&mut self, id: &str, now: Millis) {
        if let Some(sighted) = self.articles.get_mut(id) {
            sighted.last_seen = sighted.last_seen.max(now);
        }
    }

    fn forget_a_tenth(&mut self) {
        let mut seen: Vec<Millis> = self.articles.values().map(|sighted| sighted.last_seen).collect();
        let (_, &mut oldest, _) = seen.select_nth_unstable(MOST / 10);
        let mut left = MOST / 10;
        self.articles.retain(|_, sighted| {
            let goes = left > 0 && sighted.last_seen <= oldest;
            left -= usize::from(goes);
            !goes
        });
    }

    /// Forgets what no search has found for long.
    pub fn forget_old(&mut self, now: Millis) {
        self.articles.retain(|_, sighted| sighted.last_seen >= now - KEPT);
    }
}

/// What an edit changes.
fn content(article: &Article) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Article { headline, url, kind, section_id, section_name, pillar, updated_timestamp, .. } = article;
    (headline, url, kind, section_id, section_name, pillar, updated_timestamp).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(updated: Option<Millis>) -> Item {
        Item {
            id: "a".into(),
            kind: None,
            section_id: None,
            section_name: None,
            pillar: None,
            headline: format!("{updated:?}"),
            url: "https://e.org".into(),
            published: 7,
            updated,
            raw: "".into(),
        }
    }

    /// Writes what `item` is, and says how.
    fn take(known: &mut SeenArticles, item: &Item, now: Millis) -> &'static str {
        match known.sight(item, Source::Guardian, Some("AAPL"), "apple", now).unwrap() {
            Sighting::Unchanged => "unchanged",
            Sighting::New(article) => {
                known.remember(&article);
                "new"
            }
            Sighting::Edited(article) => {
                known.remember(&article);
                "edited"
            }
        }
    }

    #[test]
    fn a_lagging_copy_of_the_index_brings_no_old_version_back() {
        let mut known = SeenArticles::default();
        let took = [(5, 1), (9, 2), (5, 3), (9, 4)]
            .map(|(updated, now)| take(&mut known, &item(Some(updated)), now));
        assert_eq!(took, ["new", "edited", "unchanged", "unchanged"]);
        // Without a time of modification, the content decides.
        assert_eq!(take(&mut SeenArticles::default(), &item(None), 1), "new");
    }

    #[test]
    fn versions_stay_in_order_when_the_clock_is_put_back() {
        let mut known = SeenArticles::default();
        take(&mut known, &item(Some(5)), 100);
        let Ok(Sighting::Edited(edit)) =
            known.sight(&item(Some(6)), Source::Guardian, Some("AAPL"), "apple", 50)
        else {
            panic!("an edit")
        };
        assert_eq!(edit.received_timestamp, 100);
    }

    #[test]
    fn what_no_search_has_found_for_a_month_is_forgotten() {
        let mut known = SeenArticles::default();
        take(&mut known, &item(None), 0);
        known.touch("a", DAY);
        known.forget_old(KEPT + DAY);
        assert_eq!(known.articles.len(), 1);
        known.forget_old(KEPT + DAY + 1);
        assert!(known.articles.is_empty());
    }

    #[test]
    fn of_too_many_articles_those_found_longest_ago_are_forgotten() {
        let mut known = SeenArticles::default();
        for n in 0..MOST as Millis + 1 {
            let found = Item { id: n.to_string(), ..item(None) };
            take(&mut known, &found, n);
        }
        assert_eq!(known.articles.len(), MOST - MOST / 10 + 1);
        assert!(!known.articles.contains_key("0") && known.articles.contains_key(&MOST.to_string()));
    }
}
