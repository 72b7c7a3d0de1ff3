//! Tables as files to download: a measurement, or the answer to a query, as
//! CSV, JSON lines or Parquet, written while it is read.

mod stream;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as Asked, State};
use axum::http::HeaderMap;
use axum::response::Response;
use control::watchlist::EVERY_SYMBOL;
use files::Format;
use model::schema::ColumnType;
use serde::{Deserialize, Serialize};
use store::{Measurement, Query, SharedStore, StoreError};

use crate::error::Failure;
use crate::{AppState, request};

pub(crate) use stream::{Downloads, Page, Pages, Part, download, written};

/// The format that is asked for.
pub(crate) fn format(given: Option<&str>) -> Result<Option<Format>, Failure> {
    let Some(name) = given.filter(|name| !name.is_empty()) else { return Ok(None) };
    let problem = "must be `csv`, `json` (one object a line) or `parquet`";
    name.parse().map(Some).map_err(|_| request::parameter("format", problem))
}

// What is stored: every measurement with its columns, for whoever asks.

/// A measurement, as a table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// The columns that tell its points apart, beside their time.
    pub(crate) tags: Vec<String>,
    /// The column that is the time of its points.
    pub(crate) time: String,
    pub(crate) columns: Vec<Field>,
}

/// A column.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// `float`, `int`, `time`, `text` or `bool`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

impl Field {
    pub(crate) fn of(column: &model::schema::Column) -> Field {
        Field { name: column.name.clone(), kind: kind(column.kind) }
    }
}

fn kind(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Float => "float",
        ColumnType::Int => "int",
        ColumnType::Time => "time",
        ColumnType::Text => "text",
        ColumnType::Bool => "bool",
    }
}

/// Every measurement, by name.
pub(crate) async fn tables(store: &SharedStore) -> Result<Vec<Table>, StoreError> {
    let mut tables: Vec<_> = store.measurements().await?.into_iter().map(Table::of).collect();
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

impl Table {
    fn of(measurement: Measurement) -> Table {
        let Measurement { name, columns, tags, time, .. } = measurement;
        Table { name, tags, time, columns: columns.iter().map(Field::of).collect() }
    }
}

/// `GET /api/v1/measurements`
pub(crate) async fn api(State(site): State<Arc<AppState>>, headers: HeaderMap) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Measurements {
        measurements: Vec<Table>,
    }
    crate::api::json(Measurements { measurements: tables(&site.store).await? }, &headers).await
}

// A measurement as a file: all of it, or of one symbol and a span of time.

/// So many rows are read at once.
const PAGE: usize = 5_000;

/// What may be asked; empty fields, as a form sends them, ask for nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    symbol: String,
    from: String,
    to: String,
    format: String,
}

/// `GET /api/v1/export/{measurement}?symbol=S&from=T&to=T&format=csv|json|parquet`
pub(crate) async fn export(
    State(site): State<Arc<AppState>>,
    Path(name): Path<String>,
    wanted: Result<Asked<Wanted>, QueryRejection>,
) -> Result<Response, Failure> {
    let Asked(wanted) = wanted.map_err(|error| Failure::Query(error.body_text()))?;
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (from, to) = request::range(given(&wanted.from).as_deref(), given(&wanted.to).as_deref())?;
    let format = format(Some(&wanted.format))?.unwrap_or(Format::Csv);
    // A gap of the whole feed stands under the symbol for all of them.
    let symbol = match given(&wanted.symbol) {
        Some(every) if every == EVERY_SYMBOL => Some(every),
        symbol => request::optional_symbol(symbol)?,
    };
    let measurements = site.store.measurements().await?;
    let Some(measurement) = measurements.iter().find(|known| known.name == name) else {
        let known = measurements.iter().map(|known| known.name.clone()).collect();
        return Err(Failure::NoMeasurement { name, known });
    };
    if symbol.is_some() && !measurement.tags.iter().any(|tag| tag == "symbol") {
        return Err(request::parameter("symbol", format!("cannot be asked for: `{name}` is of no symbol")));
    }
    let file = [Some(name.clone()), symbol.as_deref().map(in_file_name)].into_iter().flatten();
    let file = file.collect::<Vec<_>>().join("-");
    let query = Query {
        measurement: name,
        tags: symbol.map(|symbol| ("symbol".into(), symbol)).into_iter().collect(),
        from,
        to,
        limit: Some(PAGE),
        ..Query::default()
    };
    let pages = Stored { store: Arc::clone(&site.store), query: Some(query) };
    let place = site.downloads.place().await?;
    Ok(download(place, &file, format, measurement.columns.clone(), pages))
}

/// Symbols have few signs, and not all of them may stand in the name of a file.
fn in_file_name(symbol: &str) -> String {
    symbol.chars().map(|sign| if sign.is_ascii_alphanumeric() || sign == '.' { sign } else { '_' }).collect()
}

/// The rows of a query of the store.
struct Stored {
    store: SharedStore,
    /// None once all has been read.
    query: Option<Query>,
}

impl Pages for Stored {
    fn next(&mut self) -> Page<'_> {
        Box::pin(async {
            let Some(query) = &mut self.query else { return Ok(None) };
            let page = self.store.read(query).await.map_err(|error| error.to_string())?;
            if page.rows.len() < PAGE || page.last_key.is_none() {
                self.query = None;
            } else {
                query.after = page.last_key;
            }
            Ok(Some(page.rows))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_makes_a_harmless_name_of_a_file() {
        assert_eq!(in_file_name("BRK.B"), "BRK.B");
        assert_eq!(in_file_name("*\"/\r"), "____");
    }
}
