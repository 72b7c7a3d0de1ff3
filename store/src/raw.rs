//! The measurements of the raw topics and of results: converts bars, articles and rows to
//! points, and points back to bars and articles.

use model::article::offset_of;
use model::schema::{Column, Value, article_columns, bar_columns};
use model::time::Millis;
use model::{Article, AssetClass, Bar, Source, Topic, topic};
use serde::Deserialize;
use serde::de::IntoDeserializer;

use crate::Rows;
use crate::point::{Measurement, Point};

/// The time column of the row of a window.
const WINDOW_END: &str = "window_end";
/// The time column of a row of the price path around an article: publication plus minutes.
const PATH_TIME: &str = "path_time";

/// A stored row that is not a bar or an article.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored row is not a valid {what}: its column `{column}` is missing or has another type")]
pub struct NoSuchRecord {
    /// `bar` or `article`.
    what: &'static str,
    /// The missing or wrong column.
    column: &'static str,
}

impl Measurement {
    /// The bars of stocks.
    pub fn bars() -> Measurement {
        Measurement::bars_of(AssetClass::Stocks)
    }

    /// The bars of a class: a point a symbol and start, the latest received version of each.
    pub fn bars_of(class: AssetClass) -> Measurement {
        Measurement {
            name: class.raw_table(),
            columns: bar_columns(),
            tags: vec!["symbol".into()],
            time: "start_timestamp".into(),
            version: Some("received_timestamp".into()),
        }
    }

    /// The articles of `news-articles`: one point per article and matching entry of the
    /// watchlist.
    pub fn articles() -> Measurement {
        Measurement {
            name: topic::NEWS_ARTICLES.measurement(),
            columns: article_columns(),
            tags: vec!["symbol".into(), "search_term".into()],
            time: "published_timestamp".into(),
            version: Some("received_timestamp".into()),
        }
    }

    /// The rows of a job: one point per symbol and end of the window. Without a column
    /// `window_end` the rows are price paths around articles: one point per symbol, article and
    /// `path_time`, with the latest received version.
    pub fn results(topic: &Topic, columns: &[Column]) -> Measurement {
        let is_windowed = columns.iter().any(|column| column.name == WINDOW_END);
        Measurement {
            name: topic.measurement(),
            columns: columns.to_vec(),
            tags: vec!["symbol".into()],
            time: if is_windowed { WINDOW_END } else { PATH_TIME }.into(),
            version: (!is_windowed).then(|| "received_timestamp".into()),
        }
    }
}

impl Point {
    /// A row of a job as a point of [`Measurement::results`]. The paths of articles of the same
    /// second have equal times; an offset from a hash of the article's id distinguishes them,
    /// and is the same as that of the point of the article.
    pub fn result(measurement: &Measurement, values: Vec<Value>) -> Point {
        let id = measurement.index_of("id").filter(|_| measurement.time == PATH_TIME);
        let id = id.and_then(|at| values.get(at)?.as_str());
        Point { nanos: id.map_or(0, offset_of), values }
    }

    /// A bar as a point of [`Measurement::bars_of`] its class.
    pub fn bar(bar: &Bar) -> Point {
        let values = vec![
            text(&bar.symbol),
            Value::Int(bar.start_timestamp),
            Value::Int(bar.end_timestamp),
            Value::Float(bar.open),
            Value::Float(bar.high),
            Value::Float(bar.low),
            Value::Float(bar.close),
            Value::Float(bar.volume),
            optional(bar.vwap, Value::Float),
            optional(bar.accumulated_volume, Value::Float),
            optional(bar.official_open_price, Value::Float),
            optional(bar.aggregate_vwap, Value::Float),
            optional(bar.average_size, Value::Float),
            optional(bar.otc, Value::Bool),
            text(bar.source.as_str()),
            Value::Int(bar.received_timestamp),
        ];
        Point { nanos: 0, values }
    }

    /// An article as a point of [`Measurement::articles`]. Headlines often share a second; an
    /// offset from a hash of the id distinguishes them.
    pub fn article(article: &Article) -> Point {
        let values = vec![
            text(article.symbol.as_deref().unwrap_or_default()),
            text(&article.search_term),
            Value::Int(article.published_timestamp),
            text(&article.id),
            text(&article.headline),
            text(&article.url),
            optional(article.kind.as_deref(), text),
            optional(article.section_id.as_deref(), text),
            optional(article.section_name.as_deref(), text),
            optional(article.pillar.as_deref(), text),
            optional(article.updated_timestamp, Value::Int),
            text(article.source.as_str()),
            Value::Int(article.received_timestamp),
        ];
        Point { nanos: offset_of(&article.id), values }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn optional<T>(value: Option<T>, wrap: impl Fn(T) -> Value) -> Value {
    value.map_or(Value::Null, wrap)
}

impl Rows {
    /// Converts rows of [`Measurement::bars_of`] a class to bars, in order.
    ///
    /// # Errors
    /// If the rows are from another measurement.
    pub fn to_bars(&self) -> Result<Vec<Bar>, NoSuchRecord> {
        let at = Fields::new(&self.columns, &Measurement::bars());
        self.rows.iter().map(|row| bar(&at.of("bar", row))).collect()
    }

    /// Converts rows of [`Measurement::articles`] to articles, in order.
    ///
    /// # Errors
    /// If the rows are from another measurement.
    pub fn to_articles(&self) -> Result<Vec<Article>, NoSuchRecord> {
        let at = Fields::new(&self.columns, &Measurement::articles());
        self.rows.iter().map(|row| article(&at.of("article", row))).collect()
    }
}

fn bar(row: &Fielded) -> Result<Bar, NoSuchRecord> {
    Ok(Bar {
        symbol: row.text("symbol")?,
        start_timestamp: row.time("start_timestamp")?,
        end_timestamp: row.time("end_timestamp")?,
        open: row.float("open")?,
        high: row.float("high")?,
        low: row.float("low")?,
        close: row.float("close")?,
        volume: row.float("volume")?,
        vwap: row.get("vwap").as_f64(),
        accumulated_volume: row.get("accumulated_volume").as_f64(),
        official_open_price: row.get("official_open_price").as_f64(),
        aggregate_vwap: row.get("aggregate_vwap").as_f64(),
        average_size: row.get("average_size").as_f64(),
        otc: match row.get("otc") {
            Value::Bool(otc) => Some(*otc),
            _ => None,
        },
        source: row.source()?,
        received_timestamp: row.time("received_timestamp")?,
        complete_until: 0,
        position: None,
    })
}

fn article(row: &Fielded) -> Result<Article, NoSuchRecord> {
    Ok(Article {
        id: row.text("id")?,
        symbol: Some(row.text("symbol")?).filter(|symbol| !symbol.is_empty()),
        search_term: row.text("search_term")?,
        headline: row.text("headline")?,
        url: row.text("url")?,
        kind: row.optional_text("kind"),
        section_id: row.optional_text("section_id"),
        section_name: row.optional_text("section_name"),
        pillar: row.optional_text("pillar"),
        published_timestamp: row.time("published_timestamp")?,
        updated_timestamp: row.get("updated_timestamp").as_i64(),
        source: row.source()?,
        received_timestamp: row.time("received_timestamp")?,
        complete_until: 0,
        position: None,
    })
}

/// The index of each column of a measurement in some rows, since stored columns may be in
/// another order.
struct Fields(Vec<(String, Option<usize>)>);

impl Fields {
    fn new(columns: &[Column], wanted: &Measurement) -> Fields {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        Fields(wanted.columns.iter().map(|column| (column.name.clone(), place(&column.name))).collect())
    }

    fn of<'a>(&'a self, what: &'static str, values: &'a [Value]) -> Fielded<'a> {
        Fielded { what, fields: self, values }
    }
}

/// A row that is read by the names of its columns.
struct Fielded<'a> {
    what: &'static str,
    fields: &'a Fields,
    values: &'a [Value],
}

impl Fielded<'_> {
    fn get(&self, column: &str) -> &Value {
        let place = self.fields.0.iter().find(|(name, _)| name == column).and_then(|(_, place)| *place);
        place.and_then(|at| self.values.get(at)).unwrap_or(&Value::Null)
    }

    fn need<T>(&self, column: &'static str, value: Option<T>) -> Result<T, NoSuchRecord> {
        value.ok_or(NoSuchRecord { what: self.what, column })
    }

    fn text(&self, column: &'static str) -> Result<String, NoSuchRecord> {
        self.need(column, self.optional_text(column))
    }

    fn optional_text(&self, column: &str) -> Option<String> {
        self.get(column).as_str().map(str::to_owned)
    }

    fn time(&self, column: &'static str) -> Result<Millis, NoSuchRecord> {
        self.need(column, self.get(column).as_i64())
    }

    fn float(&self, column: &'static str) -> Result<f64, NoSuchRecord> {
        self.need(column, self.get(column).as_f64())
    }

    fn source(&self) -> Result<Source, NoSuchRecord> {
        let word = self.text("source")?;
        let source: Result<Source, serde::de::value::Error> =
            Source::deserialize(word.as_str().into_deserializer());
        self.need("source", source.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_of(measurement: &Measurement, point: Point) -> Rows {
        assert_eq!(measurement.check_shape(), Ok(()));
        assert_eq!(measurement.check(&point), Ok(()));
        Rows { columns: measurement.columns.clone(), rows: vec![point.values], last_key: None }
    }

    #[test]
    fn a_bar_comes_back_from_its_row_whatever_the_order_of_columns() {
        let bar = Bar {
            vwap: Some(10.25),
            otc: Some(true),
            source: Source::PolygonHistory,
            complete_until: 0,
            ..bar_of("BRK.B")
        };
        let mut rows = rows_of(&Measurement::bars(), Point::bar(&bar));
        assert_eq!(rows.to_bars(), Ok(vec![bar.clone()]));
        rows.columns.reverse();
        rows.rows[0].reverse();
        assert_eq!(rows.to_bars(), Ok(vec![bar]));
    }

    #[test]
    fn an_article_comes_back_from_its_row_with_and_without_a_symbol() {
        for symbol in [None, Some("IBM".to_owned())] {
            let article = Article {
                id: "business/results".into(),
                symbol,
                search_term: "results".into(),
                headline: "Results are out".into(),
                url: "https://example.org".into(),
                kind: Some("article".into()),
                section_id: None,
                section_name: None,
                pillar: Some("News".into()),
                published_timestamp: 1_380_873_960_000,
                updated_timestamp: Some(1_380_873_990_000),
                source: Source::Guardian,
                received_timestamp: 1_380_873_970_000,
                complete_until: 0,
                position: None,
            };
            let rows = rows_of(&Measurement::articles(), Point::article(&article));
            assert_eq!(rows.to_articles(), Ok(vec![article]));
        }
    }

    #[test]
    fn paths_of_one_second_are_kept_apart_and_keep_the_latest_version() {
        use model::schema::ColumnType::{Text, Time};
        let columns = [("symbol", Text), ("id", Text), ("path_time", Time), ("received_timestamp", Time)]
            .map(|(name, kind)| Column::new(name, kind));
        let measurement = Measurement::results(&Topic::new("news-reaction"), &columns);
        assert_eq!(measurement.check_shape(), Ok(()));
        assert_eq!(measurement.version.as_deref(), Some("received_timestamp"));
        let point =
            |id: &str| Point::result(&measurement, vec![text("A"), text(id), Value::Int(7), Value::Int(8)]);
        assert_eq!(point("a").nanos, offset_of("a"));
        assert_ne!(point("a").nanos, point("b").nanos);
    }

    #[test]
    fn rows_of_another_measurement_are_no_bars() {
        let rows = Rows { columns: vec![], rows: vec![vec![]], last_key: None };
        let error = rows.to_bars().unwrap_err().to_string();
        assert_eq!(
            error,
            "a stored row is not a valid bar: its column `symbol` is missing or has another type"
        );
    }

    fn bar_of(symbol: &str) -> Bar {
        let clock = model::heartbeat::bar(0, 1_380_873_960_000);
        Bar { symbol: symbol.into(), source: Source::Replay, ..clock }
    }
}
