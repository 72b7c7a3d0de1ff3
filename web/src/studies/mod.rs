//! The event study of a symbol, made of what the store holds and kept for a minute.

pub(crate) mod api;

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use store::{Measurement, Query, Rows, SharedStore, StoreError};
use study::{Comparison, Options, Reaction, SymbolStudy};
use wire::Article;

use crate::error::Failure;
use crate::overview::known;

/// For so long a study is not made again.
const KEPT: Duration = Duration::from_secs(60);
/// So many reactions, of about 11 KB each, are kept at most.
const REACTIONS: u64 = 4_000;

/// The studies made lately.
pub(crate) struct Studies(Cache<String, Arc<Studied>>);

/// What came of the study of one symbol.
pub(crate) struct Studied {
    pub(crate) options: Options,
    pub(crate) study: SymbolStudy,
    /// Its windows with news beside those without.
    pub(crate) comparison: Comparison,
    articles: Vec<Article>,
}

impl Default for Studies {
    fn default() -> Studies {
        let size = |_: &String, studied: &Arc<Studied>| 1 + studied.study.reactions.len() as u32;
        Studies(Cache::builder().weigher(size).max_capacity(REACTIONS).time_to_live(KEPT).build())
    }
}

impl Studies {
    /// The study of a symbol; one without articles is empty.
    pub(crate) async fn of(&self, store: &SharedStore, symbol: &str) -> Result<Arc<Studied>, Failure> {
        if let Some(studied) = self.0.get(symbol).await {
            return Ok(studied);
        }
        let read = |measurement: String| read(store, measurement, symbol);
        let bars = read(Measurement::bars().name).await?.to_bars()?;
        let articles = read(Measurement::articles().name).await?.to_articles()?;
        let windows = read(study::JOB.to_owned()).await?;
        let name = symbol.to_owned();
        // It takes its milliseconds, off the threads that serve others.
        let made = tokio::task::spawn_blocking(move || {
            let options = Options::default();
            let all = study::study(&bars, &articles, &options);
            let study = all.symbols.into_iter().next().unwrap_or_else(|| SymbolStudy::empty(name));
            let windows = study::windows(&windows.columns, &windows.rows);
            let windows = windows.get(&study.symbol).map_or(&[][..], Vec::as_slice);
            let comparison = study::compare(windows, &study.splits, options.confidence);
            Arc::new(Studied { options, study, comparison, articles })
        });
        let studied = made.await.map_err(|error| Failure::Answer(std::io::Error::other(error)))?;
        self.0.insert(symbol.to_owned(), Arc::clone(&studied)).await;
        Ok(studied)
    }
}

impl Studied {
    /// The measured reaction to an article, left out of the statistics or not.
    pub(crate) fn reaction(&self, id: &str) -> Option<&Reaction> {
        self.study.reactions.iter().find(|reaction| reaction.id == id)
    }

    /// The article of a reaction.
    pub(crate) fn article(&self, reaction: &Reaction) -> Option<&Article> {
        self.articles.iter().find(|article| article.id == reaction.id)
    }
}

async fn read(store: &SharedStore, measurement: String, symbol: &str) -> Result<Rows, StoreError> {
    let tags = vec![("symbol".to_owned(), symbol.to_owned())];
    known(store.read(&Query { measurement, tags, ..Query::default() }).await)
}
