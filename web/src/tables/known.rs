//! What is stored: every measurement with its columns, for whoever asks.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use model::schema::ColumnType;
use serde::Serialize;
use store::{Measurement, SharedStore, StoreError};

use crate::AppState;
use crate::api;
use crate::error::Failure;

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
    api::json(Measurements { measurements: tables(&site.store).await? }, &headers).await
}
