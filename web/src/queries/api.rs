//! `/api/v1/query`: one statement of SQL, answered as JSON or as a file.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use model::schema::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::kept::{Encoding, Kept};
use crate::AppState;
use crate::api::{HEADERS, json};
use crate::error::Failure;
use crate::request;
use crate::tables::known::Field;
use crate::tables::{download, format, written};

/// The longest form taken, in bytes; longer statements are refused by their words anyway.
const LONGEST: usize = 128 << 10;

/// What is asked.
#[derive(Deserialize)]
struct Asked {
    sql: Option<String>,
    format: Option<String>,
}

/// The answer as JSON: rows in the order of the columns, times in milliseconds.
#[derive(Serialize)]
struct Answered {
    columns: Vec<Field>,
    rows: Vec<Vec<Json>>,
    /// Whether there would have been more rows.
    cut: bool,
}

/// `GET /api/v1/query?sql=S&format=csv|json|parquet`, or the same as a form by POST.
pub(crate) fn routes() -> MethodRouter<Arc<AppState>> {
    get(asked).post(posted).layer(DefaultBodyLimit::max(LONGEST))
}

async fn asked(
    State(site): State<Arc<AppState>>,
    query: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(asked) = query.map_err(|error| Failure::Query(error.body_text()))?;
    answer(&site, asked, &headers).await
}

async fn posted(
    State(site): State<Arc<AppState>>,
    headers: HeaderMap,
    form: Result<Form<Asked>, FormRejection>,
) -> Result<Response, Failure> {
    let Form(asked) = form.map_err(Failure::Form)?;
    answer(&site, asked, &headers).await
}

async fn answer(site: &AppState, asked: Asked, headers: &HeaderMap) -> Result<Response, Failure> {
    let problem = "is missing: write one statement, as SHOW TABLES or SELECT * FROM stock_prices LIMIT 10";
    let sql = asked.sql.ok_or_else(|| request::parameter("sql", problem))?;
    let format = format(asked.format.as_deref())?;
    let kept = Kept::all(site.explorer.query(&sql).await?).await?;
    match format {
        Some(format) => {
            let (place, columns) = (site.answers.place().await?, kept.columns.clone());
            Ok(download(place, "answer", format, columns, kept.pages()))
        }
        None if kept.is_short() => {
            let (columns, cut) = (kept.columns.iter().map(Field::of).collect(), kept.cut);
            let (mut pages, mut rows) = (kept.pages(), Vec::new());
            while let Some(part) = pages.part().map_err(Failure::NoRoom)? {
                rows.extend(part.iter().map(|row| row.iter().map(Value::to_json).collect()));
            }
            json(Answered { columns, rows, cut }, headers).await
        }
        None => {
            let place = site.answers.place().await?;
            let encoding = Encoding::of(headers);
            let coding = match encoding {
                Encoding::Plain => None,
                Encoding::Gzip => Some([(header::CONTENT_ENCODING, "gzip")]),
            };
            let body = written(place, "answer", move |part| {
                kept.write(part, &encoding).map_err(|error| error.to_string())
            });
            Ok((HEADERS, coding, body).into_response())
        }
    }
}
