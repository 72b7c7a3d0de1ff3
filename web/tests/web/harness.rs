//! A server on a log and a store in a folder of their own, fed as the pipeline feeds them.

use model::service::RunState;
use std::sync::Arc;
use std::time::Duration;

use control::shutdown::{self, Shutdown, ShutdownHandle};
use log::{Append, EmbeddedLog, Log, Position, SharedLog};
use model::schema::{self, Column, ColumnType, Value};
use model::status::ServiceStatus;
use model::time::{MINUTE, Millis};
use model::topic::{NEWS_ARTICLES, STOCK_PRICES};
use model::{Article, Bar, Gap, Source, Topic, gap, heartbeat};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value as Json, json};
use store::{Batch, EmbeddedStore, Measurement, Point, SharedStore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use web::{Access, Process, WebError};

/// Friday 2013-10-04, 09:30 in New York.
pub const OPEN: Millis = 1_380_893_400_000;

/// No answer of this server takes as long, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Site {
    pub log: Arc<EmbeddedLog>,
    pub store: SharedStore,
    pub url: String,
    pub client: Client,
    stopper: ShutdownHandle,
    serving: JoinHandle<Result<(), WebError>>,
    _folder: TempDir,
}

impl Site {
    pub async fn start() -> Site {
        Site::with(Access::default()).await
    }

    pub async fn with(access: Access) -> Site {
        Site::within(access, Process::default()).await
    }

    pub async fn within(access: Access, process: Process) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let store: SharedStore = Arc::new(EmbeddedStore::open(&folder.path().join("store.db")).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stopper, stop) = shutdown::channel();
        let shared: SharedLog = log.clone();
        let serving =
            tokio::spawn(web::serve_in(listener, shared, Arc::clone(&store), access, process, stop));
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured((*net::tls()).clone())
            .build()
            .unwrap();
        Site { log, store, url, client, stopper, serving, _folder: folder }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// A form, as a page sends it.
    pub fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(format!("{}{path}", self.url));
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    pub async fn text(&self, path: &str) -> String {
        self.get(path).await.text().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Json {
        self.get(path).await.json().await.unwrap()
    }

    /// Asks the server to end, and waits until it has.
    pub async fn end(self, wish: Shutdown) -> Result<(), WebError> {
        self.stopper.ask(wish);
        tokio::time::timeout(PATIENCE, self.serving).await.expect("the server does not end").unwrap()
    }

    /// Appends to the log alone, as the producers and the engine do.
    pub async fn append(&self, feed: &Feed) {
        self.log.append(feed.records()).await.unwrap();
    }

    /// Writes to the store and notes how far the log is stored, as the sink does.
    pub async fn sink(&self, feed: &Feed) {
        let mut points = Vec::new();
        for (measurement, values) in feed.points() {
            self.store.define(&measurement).await.unwrap();
            let values = values.into_iter().map(|values| Point { nanos: 0, values }).collect();
            points.push((Arc::new(measurement), values));
        }
        self.store.write(Batch { points, notes: Vec::new() }.into()).await.unwrap();
        let mut positions = Vec::new();
        for topic in [STOCK_PRICES, NEWS_ARTICLES, Topic::new("volatility")] {
            for extent in self.log.extents(&topic).await.unwrap() {
                let (partition, offset) = (extent.partition, extent.next);
                positions.push(Position { topic: topic.clone(), partition, offset, note: String::new() });
            }
        }
        self.log.reader("sink", &[]).await.unwrap().commit(positions).await.unwrap();
    }

    /// Both, one after the other.
    pub async fn deliver(&self, feed: &Feed) {
        self.append(feed).await;
        self.sink(feed).await;
    }

    pub async fn say(&self, status: &ServiceStatus) {
        self.log.append(vec![status.to_append()]).await.unwrap();
    }
}

/// What the pipeline delivers.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    pub bars: Vec<Bar>,
    pub rows: Vec<Json>,
    pub articles: Vec<Article>,
    pub gaps: Vec<Gap>,
}

impl Feed {
    /// A bar, a volatility row and a heartbeat of each topic for each of
    /// `minutes` after the opening. The realized volatility of minute n is n / 1000.
    pub fn of(symbol: &str, minutes: std::ops::Range<i64>) -> Feed {
        let mut feed = Feed::default();
        for minute in minutes {
            let start = OPEN + minute * MINUTE;
            feed.bars.push(bar(symbol, start));
            feed.bars.push(heartbeat::bar(0, start + MINUTE));
            feed.rows.push(row(symbol, start + MINUTE, minute as f64 / 1_000.0));
            feed.rows.push(row("~clock0", start + MINUTE, 0.0));
            feed.articles.push(heartbeat::article(0, start + MINUTE));
        }
        feed
    }

    /// Windows of `minutes` after the opening with too few bars for a realized volatility.
    pub fn with_thin_rows(mut self, symbol: &str, minutes: std::ops::Range<i64>) -> Feed {
        self.rows.extend(minutes.map(|minute| {
            let mut row = row(symbol, OPEN + (minute + 1) * MINUTE, 0.0);
            (row["bars"], row["realized"]) = (json!(1), Json::Null);
            row
        }));
        self
    }

    pub fn with_article(mut self, article: Article) -> Feed {
        self.articles.push(article);
        self
    }

    fn records(&self) -> Vec<Append> {
        let bars = self.bars.iter().map(|bar| Append::json(STOCK_PRICES, &bar.symbol, bar));
        let articles =
            self.articles.iter().map(|article| Append::json(NEWS_ARTICLES, article.key(), article));
        let rows = self.rows.iter().map(|row| {
            Append::json(Topic::new("volatility"), row["symbol"].as_str().unwrap_or_default(), row)
        });
        bars.chain(articles).chain(rows).collect()
    }

    fn points(&self) -> Vec<(Measurement, Vec<Vec<Value>>)> {
        let bars =
            self.bars.iter().filter(|bar| !bar.is_heartbeat()).map(|bar| serde_json::to_value(bar).unwrap());
        let articles = self.articles.iter().filter(|article| !article.is_heartbeat());
        let articles = articles.map(|article| serde_json::to_value(article).unwrap());
        let rows = self.rows.iter().filter(|row| row["symbol"] != "~clock0").cloned();
        let gaps = self.gaps.iter().map(|gap| serde_json::to_value(gap).unwrap());
        vec![
            fill(measurement("stock_prices", schema::bar_columns(), &["symbol"], "start_timestamp"), bars),
            fill(
                measurement(
                    "news_articles",
                    schema::article_columns(),
                    &["symbol", "search_term"],
                    "published_timestamp",
                ),
                articles,
            ),
            fill(measurement("volatility", volatility_columns(), &["symbol"], "window_end"), rows),
            fill(measurement("gaps", gap::columns(), &["symbol"], "from"), gaps),
        ]
    }
}

fn measurement(name: &str, columns: Vec<Column>, tags: &[&str], time: &str) -> Measurement {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Measurement { name: name.into(), columns, tags, time: time.into(), version: None }
}

fn fill(measurement: Measurement, messages: impl Iterator<Item = Json>) -> (Measurement, Vec<Vec<Value>>) {
    let values = |message: Json| {
        let value = |column: &Column| Value::from_json(&message[&column.name], column.kind).unwrap();
        measurement.columns.iter().map(value).collect()
    };
    let rows = messages.map(values).collect();
    (measurement, rows)
}

/// The job's columns, with a measure that the page has never heard of.
fn volatility_columns() -> Vec<Column> {
    use ColumnType::{Float, Int, Text, Time};
    [
        ("symbol", Text),
        ("window_start", Time),
        ("window_end", Time),
        ("bars", Int),
        ("realized", Float),
        ("jump_share", Float),
        ("close_to_close", Float),
        ("log_return", Float),
        ("volume", Float),
    ]
    .map(|(name, kind)| Column::new(name, kind))
    .into()
}

pub fn bar(symbol: &str, start: Millis) -> Bar {
    Bar {
        symbol: symbol.into(),
        open: 100.0,
        high: 101.5,
        low: 99.5,
        close: 101.0,
        vwap: None,
        volume: 1_200.0,
        accumulated_volume: None,
        official_open_price: None,
        aggregate_vwap: None,
        average_size: None,
        start_timestamp: start,
        end_timestamp: start + MINUTE,
        otc: None,
        source: Source::Replay,
        received_timestamp: start + MINUTE,
        complete_until: start,
        position: None,
    }
}

pub fn row(symbol: &str, window_end: Millis, realized: f64) -> Json {
    json!({
        "symbol": symbol, "window_start": window_end - 30 * MINUTE, "window_end": window_end, "bars": 30,
        "realized": realized, "jump_share": null, "close_to_close": 0.0005, "log_return": -0.001, "volume": 36000.0,
    })
}

pub fn article(symbol: &str, published: Millis, headline: &str) -> Article {
    Article {
        id: format!("business/{published}"),
        symbol: Some(symbol.into()),
        search_term: symbol.into(),
        headline: headline.into(),
        url: "https://news.example/article".into(),
        kind: None,
        section_id: None,
        section_name: Some("Business".into()),
        pillar: None,
        published_timestamp: published,
        updated_timestamp: None,
        source: Source::Replay,
        received_timestamp: published,
        complete_until: published,
        position: None,
    }
}

pub fn status(service: &str, watermark: Millis) -> ServiceStatus {
    ServiceStatus {
        service: service.into(),
        state: RunState::Running.into(),
        watermark: Some(watermark),
        ..ServiceStatus::default()
    }
}
