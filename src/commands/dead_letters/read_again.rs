//! What a dead letter holds, read by the rules of today.

use std::path::Path;

use control::replay::Event;
use control::watchlist::Watchlist;
use files::RowReader;
use model::{Article, AssetClass, Bar, DeadLetter, Topic};

/// Reads dead letters again.
pub struct Reader {
    rows: RowReader,
    /// Says which symbols want an article that a term found.
    watchlist: Watchlist,
}

impl Reader {
    /// A reader that knows the columns of the CSV file `header_of`, if it is named.
    pub fn new(header_of: Option<&Path>, watchlist: Watchlist) -> anyhow::Result<Reader> {
        let rows = header_of.map(RowReader::with_header_of).transpose()?.unwrap_or_default();
        Ok(Reader { rows, watchlist })
    }

    /// The events of a letter.
    ///
    /// # Errors
    /// Why it holds none that could go back.
    pub fn events(&self, letter: &DeadLetter) -> Result<Vec<Event>, String> {
        let bytes = letter.bytes().ok_or("only the start of it was kept, so it cannot be read again")?;
        let kind = letter.source.split_once(':').map_or(letter.source.as_str(), |(kind, _)| kind);
        match kind {
            "replay" => self.row(&bytes),
            "guardian" => events(news_watcher::articles_of_letter(letter, &self.watchlist)?, article),
            topic if AssetClass::of_topic(&Topic::new(topic)).is_some() => {
                record::<Bar>(&bytes).map(|bar| vec![Event::Bar(Box::new(bar))])
            }
            "news-articles" => {
                record::<Article>(&bytes).map(|article| vec![Event::Article(Box::new(article))])
            }
            other => match producer::feed_of_letter(other) {
                Some(feed) => events(feed.bars_of_letter(letter)?, bar),
                None => {
                    Err(format!("nothing of `{other}` can be replayed: its rows are computed, not received"))
                }
            },
        }
    }

    fn row(&self, row: &[u8]) -> Result<Vec<Event>, String> {
        match (self.rows.bar(row), self.rows.article(row)) {
            (Ok(row), _) => bar(row),
            (_, Ok(row)) => article(row),
            (Err(bar), Err(article)) if bar == article => Err(format!("{bar} (--header-of FILE)")),
            (Err(bar), Err(article)) => Err(format!("as a bar: {bar}; as an article: {article}")),
        }
    }
}

/// A record as it stood on its topic.
fn record<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("it cannot be read: {error}"))
}

fn events<T>(all: Vec<T>, one: fn(T) -> Result<Vec<Event>, String>) -> Result<Vec<Event>, String> {
    let events: Vec<_> = all.into_iter().map(one).collect::<Result<_, _>>()?;
    Ok(events.concat())
}

fn bar(bar: Bar) -> Result<Vec<Event>, String> {
    bar.check().map_err(|bad| bad.to_string())?;
    Ok(vec![Event::Bar(Box::new(bar))])
}

fn article(article: Article) -> Result<Vec<Event>, String> {
    article.check().map_err(|bad| bad.to_string())?;
    Ok(vec![Event::Article(Box::new(article))])
}
