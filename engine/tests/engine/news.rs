//! Tests of the effect of news on the rows of jobs, with a few bars and articles whose results
//! are known.

use engine::{Job, compute, compute_as_of_arrival};
use model::schema::Value;
use model::time::{MINUTE, Millis};
use model::{Article, Bar, Source, heartbeat};

use crate::market::{article, headlines, seeded};

/// The bar of a minute, with an open of 10.
fn bar(symbol: &str, minute: i64, close: f64) -> Bar {
    Bar {
        symbol: symbol.into(),
        open: 10.0,
        high: close.max(10.0),
        low: close.min(10.0),
        close,
        volume: 10.0,
        end_timestamp: (minute + 1) * MINUTE,
        received_timestamp: (minute + 1) * MINUTE,
        source: Source::Replay,
        ..heartbeat::bar(0, minute * MINUTE)
    }
}

fn published(id: &str, symbol: Option<&str>, minute: i64) -> Article {
    article(id, symbol, minute * MINUTE + 17_000)
}

/// The rows of a job, by the names of its columns.
struct Table {
    job: Job,
    rows: Vec<Vec<Value>>,
}

impl Table {
    async fn of(job: &str, bars: &[Bar], articles: &[Article]) -> Table {
        let job = Job::named(job).unwrap();
        let rows = compute(&job, bars.to_vec(), articles.to_vec()).await.unwrap();
        Table { job, rows }
    }

    async fn as_of_arrival(job: &str, bars: &[Bar], articles: &[Article]) -> Table {
        let job = Job::named(job).unwrap();
        let rows = compute_as_of_arrival(&job, bars.to_vec(), articles.to_vec()).await.unwrap();
        Table { job, rows }
    }

    fn at(&self, column: &str) -> usize {
        self.job.columns.iter().position(|known| known.name == column).unwrap()
    }

    /// The value of a column in the window that ends with `minute`.
    fn cell(&self, symbol: &str, minute: i64, column: &str) -> Option<&Value> {
        let end = Value::Int(minute * MINUTE);
        let row = self
            .rows
            .iter()
            .find(|row| row[0].as_str() == Some(symbol) && row[self.at("window_end")] == end)?;
        Some(&row[self.at(column)])
    }

    fn column(&self, name: &str) -> Vec<Value> {
        self.rows.iter().map(|row| row[self.at(name)].clone()).collect()
    }
}

#[tokio::test]
async fn every_distinct_article_of_a_window_counts_once_and_windows_without_one_stay() {
    let bars = [bar("A", 100, 10.0), bar("A", 101, 11.0), bar("B", 101, 12.0)];
    let again = Article { search_term: "other".into(), ..published("1", Some("A"), 101) };
    let articles = [
        published("1", Some("A"), 101),
        again.clone(),
        again,
        published("2", Some("A"), 110),
        published("3", None, 101),
        published("4", Some("UNKNOWN"), 101),
        published("5", Some("B"), 5_000_000),
        published("6", Some("B"), 3),
    ];
    let table = Table::of("news_impact", &bars, &articles).await;
    // Thirty windows per minute with a bar, and no other.
    assert_eq!(table.rows.len(), 31 + 30);
    let articles = |symbol, end| table.cell(symbol, end, "articles").cloned();
    assert_eq!(articles("A", 101), Some(Value::Int(0)), "the window ends where the first is published");
    assert_eq!(articles("A", 102), Some(Value::Int(1)));
    assert_eq!(articles("A", 110), Some(Value::Int(1)));
    assert_eq!(articles("A", 111), Some(Value::Int(2)));
    assert_eq!(articles("A", 131), Some(Value::Int(2)));
    assert_eq!(articles("A", 132), None, "without a bar there is no window");
    assert_eq!(articles("B", 102), Some(Value::Int(0)));
    assert!(table.column("symbol").iter().all(|symbol| *symbol != Value::Text("UNKNOWN".into())));
}

#[tokio::test]
async fn the_movers_are_ranked_among_those_that_are_there() {
    let mut bars = Vec::new();
    for (symbol, step) in [("CALM", 0.01), ("WILD", 2.0), ("DOWN", -1.0), ("TWIN", -1.0)] {
        bars.extend((100..103).map(|minute| bar(symbol, minute, 10.0 + step * (minute - 99) as f64)));
    }
    bars.push(bar("ONE", 102, 10.0));
    bars.push(heartbeat::bar(0, 101 * MINUTE));
    let articles = [
        published("1", Some("CALM"), 101),
        published("2", Some("CALM"), 101),
        published("3", Some("WILD"), 102),
        published("4", None, 102),
        heartbeat::article(0, 102 * MINUTE),
    ];
    let table = Table::of("movers", &bars, &articles).await;
    let ranks = |symbol: &str| {
        ["volatility_rank", "return_rank", "news_rank", "articles"]
            .map(|column| table.cell(symbol, 103, column).unwrap().clone())
    };
    let int = Value::Int;
    assert_eq!(ranks("WILD"), [int(1), int(1), int(2), int(1)]);
    assert_eq!(ranks("DOWN"), [int(2), int(4), Value::Null, int(0)], "a tie goes by the symbol");
    assert_eq!(ranks("TWIN"), [int(3), int(5), Value::Null, int(0)]);
    assert_eq!(ranks("CALM"), [int(4), int(2), int(1), int(2)]);
    assert_eq!(ranks("ONE"), [int(5), int(3), Value::Null, int(0)], "one bar has no volatility to rank by");
    assert!(table.column("symbol").iter().all(|symbol| !symbol.as_str().unwrap().starts_with('~')));
}

#[tokio::test]
async fn the_path_around_an_article_reaches_from_half_an_hour_before_to_an_hour_after() {
    let bars: Vec<_> = (0..200).map(|minute| bar("A", minute, 10.0 + minute as f64)).collect();
    let articles =
        [published("1", Some("A"), 100), published("2", None, 100), published("3", Some("B"), 100)];
    let table = Table::of("news_reaction", &bars, &articles).await;
    let minutes: Vec<_> = table.column("minute").iter().map(|minute| minute.as_i64().unwrap()).collect();
    assert_eq!(minutes, (-30..=60).collect::<Vec<_>>());
    assert_eq!(table.column("close")[0], Value::Float(80.0));
    let times = table.column("path_time");
    assert_eq!(times[30], Value::Int(100 * MINUTE + 17_000));
    assert!(times.windows(2).all(|pair| pair[1].as_i64() == pair[0].as_i64().map(|at| at + MINUTE)));
}

#[tokio::test]
async fn an_article_before_the_first_bar_or_in_the_future_has_the_bars_that_there_are() {
    let bars = [bar("A", 100, 11.0), bar("A", 101, 12.0)];
    let articles =
        [published("1", Some("A"), 60), published("2", Some("A"), 131), published("3", Some("A"), 900)];
    let table = Table::of("news_reaction", &bars, &articles).await;
    let rows: Vec<_> = table.column("id").into_iter().zip(table.column("minute")).collect();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(
        rows,
        [(text("1"), Value::Int(40)), (text("2"), Value::Int(-30)), (text("1"), Value::Int(41))],
        "rows of one time come by their minute, as a store holds them"
    );
}

#[tokio::test]
async fn a_path_takes_the_last_version_of_each_bar() {
    let late = Bar { close: 12.0, received_timestamp: 500 * MINUTE, ..bar("A", 100, 11.0) };
    let articles = [published("1", Some("A"), 100)];
    for bars in [[bar("A", 100, 11.0), late.clone()], [late.clone(), bar("A", 100, 11.0)]] {
        let table = Table::of("news_reaction", &bars, &articles).await;
        assert_eq!(table.column("close"), [Value::Float(12.0)]);
        assert_eq!(table.column("received_timestamp"), [Value::Int(500 * MINUTE)]);
        let known = Table::as_of_arrival("news_reaction", &bars, &articles).await;
        assert_eq!(known.column("close"), [Value::Float(11.0)]);
    }
}

#[tokio::test]
async fn as_of_arrival_a_window_knows_only_what_had_come_by_its_end() {
    let corrected = Bar { close: 20.0, received_timestamp: 105 * MINUTE, ..bar("A", 100, 11.0) };
    let late = Bar { received_timestamp: 110 * MINUTE, ..bar("A", 101, 12.0) };
    let found_late = Article { received_timestamp: 112 * MINUTE, ..published("1", Some("A"), 100) };
    let bars = [bar("A", 100, 11.0), corrected, late];
    let known = Table::as_of_arrival("signals", &bars, std::slice::from_ref(&found_late)).await;
    let all = Table::of("signals", &bars, &[found_late]).await;
    let at = |table: &Table, end, column| table.cell("A", end, column).cloned();
    for (end, close, articles) in
        [(101, 11.0, 0.0), (104, 11.0, 0.0), (105, 20.0, 0.0), (110, 12.0, 0.0), (112, 12.0, 1.0)]
    {
        assert_eq!(at(&known, end, "close"), Some(Value::Float(close)), "close at {end}");
        assert_eq!(at(&known, end, "articles"), Some(Value::Float(articles)), "articles at {end}");
    }
    assert_eq!(at(&all, 101, "close"), Some(Value::Float(20.0)));
    assert_eq!(at(&all, 101, "articles"), Some(Value::Float(1.0)));
    // A bar that was received after its last window had ended is in no window.
    let never = Bar { received_timestamp: 10_000 * MINUTE, ..bar("A", 100, 11.0) };
    assert!(Table::as_of_arrival("signals", &[never], &[]).await.rows.is_empty());
}

/// The rows of the windows that end at or before `end`.
fn until(table: &Table, end: Millis) -> Vec<Vec<Value>> {
    let at = table.at("window_end");
    table.rows.iter().filter(|row| row[at].as_i64() <= Some(end)).cloned().collect()
}

#[tokio::test]
async fn as_of_arrival_nothing_that_comes_later_changes_an_earlier_window() {
    let (mut bars, mut articles) = (seeded(40), headlines(40));
    // Every third row is received late, some by hours.
    for (at, bar) in bars.iter_mut().enumerate().filter(|(at, _)| at % 3 == 0) {
        bar.received_timestamp += (at as i64 % 17) * 7 * MINUTE;
    }
    for (at, article) in articles.iter_mut().enumerate() {
        article.received_timestamp += (at as i64 % 5) * 11 * MINUTE;
    }
    for job in ["volatility", "news_impact", "movers", "signals"] {
        let whole = Table::as_of_arrival(job, &bars, &articles).await;
        for minutes in [30, 61, 95] {
            let now = 1_380_873_600_000 + minutes * MINUTE;
            let bars: Vec<_> = bars.iter().filter(|bar| bar.received_timestamp <= now).cloned().collect();
            let articles: Vec<_> =
                articles.iter().filter(|found| found.received_timestamp <= now).cloned().collect();
            let then = Table::as_of_arrival(job, &bars, &articles).await;
            assert!(until(&whole, now).len() > 20, "{job} by minute {minutes}");
            assert_eq!(until(&then, now), until(&whole, now), "{job} by minute {minutes}");
        }
    }
}

#[tokio::test]
async fn order_and_repetition_change_no_row_of_any_job() {
    let (bars, articles) = (seeded(41), headlines(41));
    let turned = |rows: Vec<Bar>| rows.iter().rev().chain(&rows[..50]).cloned().collect::<Vec<_>>();
    let news: Vec<_> = articles.iter().rev().chain(&articles[..5]).cloned().collect();
    for job in Job::all().unwrap() {
        let straight = Table::of(&job.name, &bars, &articles).await;
        let mixed = Table::of(&job.name, &turned(bars.clone()), &news).await;
        assert!(straight.rows.len() > 300, "{}", job.name);
        assert_eq!(mixed.rows, straight.rows, "{}", job.name);
    }
}
