//! `/api/v1/query`: one statement of SQL, answered as JSON or as a file.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use explore::Answer;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wire::schema::Value;

use super::{LIMITS, first};
use crate::Site;
use crate::api::json;
use crate::error::Failure;
use crate::request;
use crate::tables::known::Field;
use crate::tables::{Page, Pages, download, format};

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
pub(crate) fn routes() -> MethodRouter<Arc<Site>> {
    get(asked).post(posted).layer(DefaultBodyLimit::max(LONGEST))
}

async fn asked(
    State(site): State<Arc<Site>>,
    query: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Query(asked) = query.map_err(|error| Failure::Query(error.body_text()))?;
    answer(&site, asked, &headers).await
}

async fn posted(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    form: Result<Form<Asked>, FormRejection>,
) -> Result<Response, Failure> {
    let Form(asked) = form.map_err(Failure::Form)?;
    answer(&site, asked, &headers).await
}

async fn answer(site: &Site, asked: Asked, headers: &HeaderMap) -> Result<Response, Failure> {
    let problem = "is missing: write one statement, as SHOW TABLES or SELECT * FROM stock_prices LIMIT 10";
    let sql = asked.sql.ok_or_else(|| request::parameter("sql", problem))?;
    if let Some(format) = format(asked.format.as_deref())? {
        let answer = site.explorer.query(&sql).await?;
        let columns = answer.columns().to_vec();
        return download(&site.downloads, "answer", format, columns, Rest(answer));
    }
    let found = first(site, &sql, LIMITS.rows.unwrap_or(usize::MAX)).await?;
    let rows = found.rows.iter().map(|row| row.iter().map(Value::to_json).collect()).collect();
    let columns = found.columns.iter().map(Field::of).collect();
    json(Answered { columns, rows, cut: found.cut }, headers).await
}

/// The rows of an answer.
struct Rest(Answer);

impl Pages for Rest {
    fn next(&mut self) -> Page<'_> {
        Box::pin(async { self.0.next().await.map_err(|error| error.to_string()) })
    }
}
