//! The event study of a symbol, made of what the store holds and kept for a minute.

pub(crate) mod api;

use std::sync::Arc;
use std::time::Duration;

use model::time::Millis;
use model::{Article, AssetClass, Bar};
use moka::future::Cache;
use store::{Measurement, Query, SharedStore};
use study::{Comparison, Options, Reaction, SymbolStudy, Window};
use tokio::sync::Mutex;

use crate::error::Failure;
use crate::overview::each_page;

/// For so long a study is not made again.
const KEPT: Duration = Duration::from_secs(60);
/// So many reactions, of about 11 KB each, are kept at most, and so many articles studied.
const REACTIONS: u64 = 4_000;

/// The most bars and windows that a study of the page is made of, the newest: the
/// regular sessions of a year. `tickwire backtest` takes all there are.
pub(crate) const MOST_BARS: usize = 100_000;
/// The most articles that are looked through for the newest.
const MOST_ARTICLES_READ: usize = 100_000;
/// So many rows are read at once.
const PAGE: usize = 5_000;

/// The studies made lately.
pub(crate) struct Studies {
    kept: Cache<String, Arc<Studied>>,
    /// One study is made at a time: each holds what it is made of.
    turn: Mutex<()>,
}

/// What came of the study of one symbol.
pub(crate) struct Studied {
    pub(crate) options: Options,
    pub(crate) study: SymbolStudy,
    /// Its windows with news beside those without.
    pub(crate) comparison: Comparison,
    articles: Vec<Article>,
    /// Where there is more than a study of the page is made of: its first bar.
    pub(crate) cut: Option<Millis>,
}

impl Default for Studies {
    fn default() -> Studies {
        let size = |_: &String, studied: &Arc<Studied>| 1 + studied.study.reactions.len() as u32;
        let kept = Cache::builder().weigher(size).max_capacity(REACTIONS).time_to_live(KEPT).build();
        Studies { kept, turn: Mutex::default() }
    }
}

impl Studies {
    /// The study of a symbol; one without articles is empty.
    pub(crate) async fn of(&self, store: &SharedStore, symbol: &str) -> Result<Arc<Studied>, Failure> {
        if let Some(studied) = self.kept.get(symbol).await {
            return Ok(studied);
        }
        let _turn = self.turn.lock().await;
        // Somebody else may have waited for the same.
        if let Some(studied) = self.kept.get(symbol).await {
            return Ok(studied);
        }
        let (mut bars, all) = bars(store, symbol).await?;
        let (articles, all_articles) = articles(store, symbol).await?;
        let windows = windows(store, symbol).await?;
        let cut = (!all || !all_articles).then(|| bars.last().map(|bar| bar.start_timestamp)).flatten();
        bars.reverse();
        let (name, class) = (symbol.to_owned(), AssetClass::of(symbol));
        // It takes its milliseconds, off the threads that serve others.
        let made = tokio::task::spawn_blocking(move || {
            let options = Options::default();
            let all = study::study(&bars, &articles, &options);
            let study = all.symbols.into_iter().next().unwrap_or_else(|| SymbolStudy::empty(name));
            let comparison = study::compare(class, &windows, &study.splits, options.confidence);
            Arc::new(Studied { options, study, comparison, articles, cut })
        });
        let studied = made.await.map_err(|error| Failure::Answer(std::io::Error::other(error)))?;
        self.kept.insert(symbol.to_owned(), Arc::clone(&studied)).await;
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

/// The newest bars, newest first, and whether they are all.
async fn bars(store: &SharedStore, symbol: &str) -> Result<(Vec<Bar>, bool), Failure> {
    let mut bars = Vec::new();
    let all = each_page(store, newest(AssetClass::of(symbol).raw_table(), symbol), PAGE, MOST_BARS, |page| {
        bars.extend(page.to_bars()?);
        Ok(())
    });
    let all = all.await?;
    Ok((bars, all))
}

/// The newest articles, in the order of time, and whether they are all.
async fn articles(store: &SharedStore, symbol: &str) -> Result<(Vec<Article>, bool), Failure> {
    let (mut articles, mut left_out) = (Vec::new(), false);
    // They come by search term: the newest of all are kept while everything is read through.
    let query = newest(Measurement::articles().name, symbol);
    let all = each_page(store, query, PAGE, MOST_ARTICLES_READ, |page| {
        articles.extend(page.to_articles()?);
        articles.sort_by_key(|article: &Article| article.published_timestamp);
        let surplus = articles.len().saturating_sub(REACTIONS as usize);
        left_out |= surplus > 0;
        articles.drain(..surplus);
        Ok(())
    });
    let all = all.await? && !left_out;
    Ok((articles, all))
}

/// The newest windows with what is compared of them, in the order of time.
async fn windows(store: &SharedStore, symbol: &str) -> Result<Vec<Window>, Failure> {
    let mut windows = Vec::new();
    each_page(store, newest(study::JOB.to_owned(), symbol), PAGE, MOST_BARS, |page| {
        windows.extend(study::windows(&page.columns, &page.rows).remove(symbol).unwrap_or_default());
        Ok(())
    })
    .await?;
    windows.reverse();
    Ok(windows)
}

fn newest(measurement: String, symbol: &str) -> Query {
    let tags = vec![("symbol".to_owned(), symbol.to_owned())];
    Query { measurement, tags, newest_first: true, ..Query::default() }
}
