//! What is studied: bars, articles and windows, out of files or out of the store.

use std::collections::BTreeMap;

use anyhow::Context;
use model::{Article, AssetClass, Bar};
use store::{Measurement, Query, Store};
use study::Window;

use super::windows;
use crate::cli::BacktestArgs;
use crate::commands::rows::{self, Unread};
use crate::config::Config;
use crate::run::Run;

/// Everything that a study is made of.
pub struct History {
    pub bars: Vec<Bar>,
    pub articles: Vec<Article>,
    /// The windows of each symbol.
    pub windows: BTreeMap<String, Vec<Window>>,
    /// Where a file could not be read to its end.
    pub unread: Unread,
}

impl History {
    /// The files that `args` name, else what the store holds.
    pub async fn read(config: &Config, args: &BacktestArgs) -> anyhow::Result<History> {
        match (&args.bars, &args.news) {
            (Some(bars), Some(news)) => {
                let (bars, articles) = (rows::bars(bars)?, rows::articles(news)?);
                let unread = bars.unread.or(articles.unread);
                let (bars, articles) = (bars.rows, articles.rows);
                let windows = windows::computed(&bars, &articles).await?;
                Ok(History { bars, articles, windows, unread })
            }
            _ => {
                let run = Run::find(config, &args.data)?;
                stored(&*run.store_to_read()?).await.with_context(|| format!("the run `{}`", run.name))
            }
        }
    }
}

async fn stored(store: &dyn Store) -> anyhow::Result<History> {
    let whole = |measurement: &str| Query { measurement: measurement.to_owned(), ..Query::default() };
    let there = store.measurements().await?;
    let is_there = |measurement: &Measurement| there.iter().any(|known| known.name == measurement.name);
    let mut bars = Vec::new();
    for of_class in AssetClass::ALL.map(Measurement::bars_of) {
        if is_there(&of_class) {
            bars.extend(store.read(&whole(&of_class.name)).await?.to_bars()?);
        }
    }
    let of_articles = Measurement::articles();
    let articles = match is_there(&of_articles) {
        true => store.read(&whole(&of_articles.name)).await?.to_articles()?,
        false => Vec::new(),
    };
    let windows = match there.iter().find(|known| known.name == windows::measurement()) {
        Some(measurement) => windows::of_rows(&store.read(&whole(&measurement.name)).await?, &articles),
        None => BTreeMap::new(),
    };
    Ok(History { bars, articles, windows, unread: Unread::default() })
}
