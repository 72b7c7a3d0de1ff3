//! Dead letters of the Guardian, read by the rules of today.

use control::watchlist::Watchlist;
use model::{Article, DeadLetter, Source};

use super::answer;
use feed::news::{SeenArticles, Sighting};

/// The article that a letter holds, once for each entry of the watchlist that
/// searches for its term.
///
/// # Errors
/// Why it still holds none.
pub fn articles_of_letter(letter: &DeadLetter, list: &Watchlist) -> Result<Vec<Article>, String> {
    let bytes = letter.bytes().ok_or("only the start of it was kept, so it cannot be read again")?;
    let text = std::str::from_utf8(&bytes).map_err(|error| format!("it is no text: {error}"))?;
    let term = letter.source.split_once(':').map_or("", |(_, term)| term);
    let item = answer::item(text).map_err(|bad| bad.reason)?;
    let entries = list.entries.iter().filter(|entry| entry.search_term.as_deref() == Some(term));
    let mut symbols: Vec<_> = entries.map(|entry| entry.symbol.as_deref()).collect();
    symbols.dedup();
    if symbols.is_empty() {
        return Err(format!("the watchlist has no search term `{term}` any more"));
    }
    let nothing_known = SeenArticles::default();
    let mut articles = Vec::new();
    for symbol in symbols {
        let sighting = nothing_known.sight(&item, Source::Guardian, symbol, term, letter.received_timestamp);
        if let Sighting::New(article) = sighting.map_err(|bad| bad.to_string())? {
            articles.push(article);
        }
    }
    Ok(articles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::watchlist::Entry;

    #[test]
    fn an_article_is_read_again_for_every_entry_of_its_term() {
        let entry = |symbol: Option<&str>, term: &str| Entry {
            symbol: symbol.map(Into::into),
            search_term: Some(term.into()),
            ..Entry::default()
        };
        let entries = vec![entry(Some("AAPL"), "apple"), entry(None, "apple"), entry(None, "rates")];
        let list = Watchlist { version: 1, entries };
        let item = r#"{"id":"business/1","webTitle":"Up","webUrl":"https://example.org/1","webPublicationDate":"2014-09-10T16:10:21Z"}"#;
        let of = |source: &str, text: &str| {
            articles_of_letter(&DeadLetter::new(source, "why", text.as_bytes(), 7), &list)
        };
        let articles = of("guardian:apple", item).unwrap();
        let symbols: Vec<_> = articles.iter().map(|article| article.symbol.as_deref()).collect();
        assert_eq!((symbols, articles[0].received_timestamp), (vec![Some("AAPL"), None], 7));
        assert!(of("guardian:gone", item).unwrap_err().contains("`gone`"));
        assert!(of("guardian:apple", "{}").unwrap_err().contains("missing field"));
    }
}
