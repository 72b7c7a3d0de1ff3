//! What a search term would find: asked of the source through the service that
//! has its key, once in a while for each term; without a key, stored headlines.

use model::service::{RunState, Service};
use std::sync::Arc;
use std::time::Duration;

use control::preview::{self, Headline, Preview};
use log::LogError;
use model::status::ServiceStatus;
use model::time::Millis;
use moka::future::Cache;
use query::headlines::Search;

use crate::AppState;
use crate::error::Failure;

/// So long an answer is shown again instead of asking again: a call is dear.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// The most answers kept.
const MOST_KEPT: u64 = 500;
/// How long the source may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// Stored headlines shown.
const SHOWN: usize = 12;

/// Answers by term and sections.
pub(crate) struct Previews(Cache<(String, Vec<String>), Arc<Preview>>);

impl Default for Previews {
    fn default() -> Previews {
        Previews(Cache::builder().max_capacity(MOST_KEPT).time_to_live(KEPT).build())
    }
}

/// What is shown for a term.
pub(crate) struct Shown {
    pub(crate) headlines: Vec<Headline>,
    /// How many there are in all.
    pub(crate) total: u64,
    /// When the source said so; stored headlines where it did not.
    pub(crate) asked_at: Option<Millis>,
    /// Why the source was not asked, or gave no answer.
    pub(crate) why_stored: String,
}

impl Previews {
    /// What `term` would have found lately within `sections`.
    pub(crate) async fn of(
        &self,
        site: &AppState,
        services: &[ServiceStatus],
        term: &str,
        sections: &[String],
    ) -> Result<Shown, Failure> {
        let watcher = services.iter().find(|service| service.is_of(Service::NewsWatcher));
        let why_stored = match watcher {
            Some(watcher) if watcher.quota.is_none() || watcher.state.run() == RunState::Stopped => {
                "News is not asked of the Guardian in this run".to_owned()
            }
            None => "The news-watcher has said nothing yet".to_owned(),
            Some(_) => match self.asked(site, term, sections).await? {
                Ok(preview) => {
                    return Ok(Shown {
                        headlines: preview.headlines.clone(),
                        total: preview.total,
                        asked_at: Some(preview.at),
                        why_stored: String::new(),
                    });
                }
                Err(why) => format!("The Guardian was not asked: {why}"),
            },
        };
        stored(site, term, why_stored).await
    }

    async fn asked(
        &self,
        site: &AppState,
        term: &str,
        sections: &[String],
    ) -> Result<Result<Arc<Preview>, String>, LogError> {
        let key = (term.to_owned(), sections.to_vec());
        if let Some(kept) = self.0.get(&key).await {
            return Ok(Ok(kept));
        }
        match preview::ask(&*site.log, term, sections, PATIENCE).await? {
            None => Ok(Err("the news-watcher gave no answer in time".into())),
            Some(Preview { refused: Some(why), .. }) => Ok(Err(why)),
            Some(preview) => {
                let preview = Arc::new(preview);
                self.0.insert(key, Arc::clone(&preview)).await;
                Ok(Ok(preview))
            }
        }
    }
}

/// Stored headlines that the term has found, else those with its words.
async fn stored(site: &AppState, term: &str, why_stored: String) -> Result<Shown, Failure> {
    let by_term = Search { term: Some(term.to_owned()), limit: SHOWN, ..Search::default() };
    let mut found = site.headlines.search(by_term).await?;
    if found.total == 0 {
        let by_words = Search { text: words(term), limit: SHOWN, ..Search::default() };
        found = site.headlines.search(by_words).await?;
    }
    let headlines = found.articles.into_iter().map(|listed| Headline {
        headline: listed.headline,
        url: listed.url,
        section_name: listed.section_name,
        published_timestamp: listed.published,
    });
    Ok(Shown { headlines: headlines.collect(), total: found.total, asked_at: None, why_stored })
}

/// The words and phrases of a term without its operators and brackets.
fn words(term: &str) -> String {
    let bare = term.replace(['(', ')'], " ");
    let words = bare.split(' ').filter(|word| !matches!(*word, "AND" | "OR" | "NOT"));
    words.collect::<Vec<_>>().join(" ")
}
