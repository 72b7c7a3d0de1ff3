//! Tests the examples of `docs/extending.md`.

use model::schema::Value;
use model::time::MINUTE;
use model::{Bar, Source, heartbeat};

use crate::job::Job;
use crate::sql;

const PAGE: &str = include_str!("../../docs/extending.md");
const FILE: &str = include_str!("../../docs/examples/high_low.rs");

/// The code blocks of the page in one language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    PAGE.split(&opening[..]).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// `sql/volatility.sql` with the lines of the page inserted.
fn extended() -> String {
    let (_, text) = sql::FILES.iter().find(|(file, _)| *file == "volatility").unwrap();
    let places = ["    volume DOUBLE,\n", "    volume,\n    arrow_cast", "        volume(start_timestamp"];
    let mut text = (*text).to_owned();
    for (line, place) in blocks("sql").into_iter().zip(places) {
        assert_eq!(text.matches(place).count(), 1, "{place}");
        text = text.replace(place, &format!("{line}{place}"));
    }
    text
}

#[test]
fn the_page_shows_the_file_that_is_compiled_and_three_lines() {
    assert_eq!(blocks("rust"), [FILE]);
    assert_eq!(blocks("sql").len(), 3);
}

#[tokio::test]
async fn a_measure_added_as_the_page_says_is_a_column_of_every_row() {
    let text = extended();
    let tables = sql::FILES.iter().copied().filter(|(file, _)| *file == sql::TABLES);
    let files: Vec<_> = tables.chain([("volatility", text.as_str())]).collect();
    let job = Job::read(&files).unwrap().remove(0);
    let at = job.columns.iter().position(|column| column.name == "high_low").unwrap();
    assert_eq!(job.columns.len(), Job::named("volatility").unwrap().columns.len() + 1);

    let bar = |minute: i64, low: f64, high: f64| Bar {
        symbol: "A".into(),
        source: Source::Replay,
        low,
        high,
        ..heartbeat::bar(0, minute * MINUTE)
    };
    let bars = vec![bar(100, 10.0, 11.0), bar(101, 8.0, 9.0)];
    let rows = crate::compute(&job, bars, Vec::new()).await.unwrap();
    assert_eq!(rows.len(), 31);
    // The first window holds only the first bar; the others, except the last, hold both.
    assert_eq!(rows[0][at], Value::Float(100.0 * (11.0 / 10.0 - 1.0)));
    assert_eq!(rows[1][at], Value::Float(100.0 * (11.0 / 8.0 - 1.0)));
}
