//! How the price of a symbol moved around an article, as the job
//! `news_reaction` measured it minute by minute.

use std::collections::HashMap;

use model::Topic;
use model::time::{MINUTE, Millis};
use query::headlines::Listed;
use serde_json::{Map, Value as Json};
use store::{Query, SharedStore, StoreError, if_defined};

use crate::overview::objects;

/// The minutes after the publication that are told.
pub(crate) const AFTER: [i64; 3] = [5, 30, 60];
/// Paths begin and end so long before and after the publication, generously.
const REACH: Millis = 62 * MINUTE;

/// The most steps read for a symbol: two hours of minutes for sixty articles.
const MOST_STEPS: usize = 7_500;
/// The most symbols of an article that are told about.
const MOST_SYMBOLS: usize = 8;

/// One symbol's reaction to one article.
pub(crate) struct Reaction {
    pub(crate) symbol: String,
    /// Log returns from the last close before the publication to the last one
    /// known after each of [`AFTER`] minutes; none while that lies ahead.
    pub(crate) returns: [Option<f64>; AFTER.len()],
}

/// What has been measured of an article, by symbol.
pub(crate) async fn of(store: &SharedStore, article: &Listed) -> Result<Vec<Reaction>, StoreError> {
    let mut found = Vec::new();
    for symbol in article.symbols.iter().take(MOST_SYMBOLS) {
        let query = Query {
            measurement: Topic::new("news-reaction").measurement(),
            tags: vec![("symbol".into(), symbol.clone())],
            from: Some(article.published.saturating_sub(REACH)),
            to: Some(article.published.saturating_add(REACH)),
            limit: Some(MOST_STEPS),
            ..Query::default()
        };
        let rows = objects(if_defined(store.read(&query).await)?);
        let path = rows.iter().filter(|row| row.get("id").and_then(Json::as_str) == Some(&article.id));
        if let Some(returns) = returns(&path.filter_map(step).collect()) {
            found.push(Reaction { symbol: symbol.clone(), returns });
        }
    }
    Ok(found)
}

/// The minute, relative to the publication, and the close.
fn step(row: &Map<String, Json>) -> Option<(i64, f64)> {
    let close = row.get("close")?.as_f64().filter(|close| *close > 0.0)?;
    Some((row.get("minute")?.as_i64()?, close))
}

/// None where nothing is known from before the publication, or nothing after it.
fn returns(closes: &HashMap<i64, f64>) -> Option<[Option<f64>; AFTER.len()]> {
    let last = |minutes: std::ops::RangeInclusive<i64>| {
        minutes.rev().find_map(|minute| closes.get(&minute)).copied()
    };
    let before = last(-30..=-1)?;
    let measured = closes.keys().max().copied()?;
    let after = AFTER.map(|until| {
        let close = last(0..=until).filter(|_| measured >= until);
        close.map(|close| (close / before).ln())
    });
    after.iter().any(Option::is_some).then_some(after)
}

impl Reaction {
    /// `+0.12 % after 5 min`, for each time that has been measured.
    pub(crate) fn texts(&self) -> Vec<(String, &'static str, i64)> {
        let told = |(value, minute): (Option<f64>, i64)| {
            let percent = value? * 100.0;
            let (sign, direction) = match percent {
                percent if percent > 0.005 => ("+", "up"),
                percent if percent < -0.005 => ("", "down"),
                _ => ("", "still"),
            };
            Some((format!("{sign}{percent:.2} %"), direction, minute))
        };
        self.returns.into_iter().zip(AFTER).filter_map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closes(path: &[(i64, f64)]) -> HashMap<i64, f64> {
        path.iter().copied().collect()
    }

    #[test]
    fn a_reaction_is_measured_from_the_last_close_before_the_publication() {
        let path = closes(&[(-3, 90.0), (-1, 100.0), (0, 101.0), (5, 102.0), (29, 103.0), (60, 99.0)]);
        let found = returns(&path).unwrap();
        let expected = [(1.02_f64).ln(), (1.03_f64).ln(), (0.99_f64).ln()];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-12);
        }
        let texts = Reaction { symbol: "A".into(), returns: found }.texts();
        assert_eq!(texts[0], ("+1.98 %".into(), "up", 5));
        assert_eq!(texts[2], ("-1.01 %".into(), "down", 60));
    }

    #[test]
    fn what_lies_ahead_is_not_told_and_nothing_is_made_up() {
        assert_eq!(returns(&closes(&[(0, 100.0), (5, 101.0)])), None, "nothing from before");
        assert_eq!(returns(&closes(&[(-1, 100.0)])), None, "nothing from after");
        let found = returns(&closes(&[(-1, 100.0), (2, 101.0), (7, 102.0)])).unwrap();
        assert!(found[0].is_some() && found[1].is_none() && found[2].is_none());
    }
}
