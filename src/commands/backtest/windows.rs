//! The windows whose jumps are compared, each with its number of articles.

use std::collections::{BTreeMap, BTreeSet};

use engine::Job;
use model::schema::{Column, Value};
use model::time::Millis;
use model::{Article, Bar};
use store::Rows;
use study::Window;

/// The job whose windows are taken.
const JOB: &str = "volatility";

/// The measurement that holds its rows.
pub fn measurement() -> &'static str {
    JOB
}

/// The windows that the job makes of bars.
pub async fn computed(bars: &[Bar], articles: &[Article]) -> anyhow::Result<BTreeMap<String, Vec<Window>>> {
    let job = Job::named(JOB)?;
    let rows = engine::compute(&job, bars.to_vec(), Vec::new()).await?;
    Ok(windows(&job.columns, &rows, articles))
}

/// Stored rows of the job as windows.
pub fn of_rows(rows: &Rows, articles: &[Article]) -> BTreeMap<String, Vec<Window>> {
    windows(&rows.columns, &rows.rows, articles)
}

fn windows(columns: &[Column], rows: &[Vec<Value>], articles: &[Article]) -> BTreeMap<String, Vec<Window>> {
    let published = published(articles);
    let place = |name: &str| columns.iter().position(|column| column.name == name);
    let mut windows: BTreeMap<String, Vec<Window>> = BTreeMap::new();
    let places = ["symbol", "window_start", "window_end", "jump_share", "realized"].map(place);
    let [Some(symbol), Some(start), Some(end), Some(jump_share), Some(realized)] = places else {
        return windows;
    };
    for row in rows {
        let (Some(symbol), Some(start), Some(end)) =
            (row[symbol].as_str(), row[start].as_i64(), row[end].as_i64())
        else {
            continue;
        };
        let within = published.get(symbol).map_or(&[][..], |times| {
            let from = times.partition_point(|(at, _)| *at < start);
            &times[from..times.partition_point(|(at, _)| *at < end)]
        });
        let distinct: BTreeSet<&str> = within.iter().map(|(_, id)| *id).collect();
        let window = Window {
            start,
            end,
            articles: distinct.len() as u64,
            jump_share: row[jump_share].as_f64(),
            realized: row[realized].as_f64(),
        };
        windows.entry(symbol.to_owned()).or_default().push(window);
    }
    windows
}

/// The publications of each symbol with their identities, by time.
fn published(articles: &[Article]) -> BTreeMap<&str, Vec<(Millis, &str)>> {
    let mut published: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for article in articles {
        if let Some(symbol) = &article.symbol {
            published.entry(symbol).or_default().push((article.published_timestamp, article.id.as_str()));
        }
    }
    published.values_mut().for_each(|times| times.sort_unstable());
    published
}
