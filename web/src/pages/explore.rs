//! The Explore page: questions in SQL over what is stored, answered as a table,
//! a chart and a file; it works by a plain form.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use model::schema::{Column, ColumnType, Value};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Frame, shown};
use crate::error::{Failure, Told};
use crate::queries::{self, First, LIMITS};
use crate::tables::{self, Table};
use crate::{AppState, security};

/// Rows shown; the file has all.
const SHOWN: usize = 500;

/// Questions to begin with: a name, the table that must be there, and the statement.
const EXAMPLES: [(&str, &str, &str); 6] = [
    (
        "Busiest symbols",
        "volatility",
        "SELECT symbol, max(realized) AS most, avg(realized) AS usual, count(*) AS windows\nFROM volatility\nGROUP BY symbol\nORDER BY most DESC",
    ),
    (
        "Volume by half hour",
        "stock_prices",
        "SELECT date_bin(INTERVAL '30 minutes', start_timestamp) AS half_hour, sum(volume) AS volume\nFROM stock_prices\nGROUP BY half_hour\nORDER BY half_hour",
    ),
    (
        "Closes of every symbol",
        "stock_prices",
        "SELECT date_bin(INTERVAL '5 minutes', start_timestamp) AS at, symbol, last_value(close ORDER BY start_timestamp) AS close\nFROM stock_prices\nGROUP BY at, symbol\nORDER BY at",
    ),
    (
        "Jumps",
        "volatility",
        "SELECT window_end, symbol, realized, jump_share\nFROM volatility\nWHERE jump_share > 0.5 AND bars >= 20\nORDER BY jump_share DESC\nLIMIT 50",
    ),
    (
        "Headlines a symbol",
        "news_articles",
        "SELECT symbol, count(*) AS articles, max(published_timestamp) AS newest\nFROM news_articles\nGROUP BY symbol\nORDER BY articles DESC",
    ),
    (
        "Alerts a rule",
        "alerts",
        "SELECT rule, symbol, count(*) AS episodes\nFROM alerts\nGROUP BY rule, symbol\nORDER BY episodes DESC",
    ),
];

#[derive(Template)]
#[template(path = "explore.html")]
struct Page {
    frame: Frame,
    plotly: String,
    sql: String,
    tables: Vec<Table>,
    answer: Option<Answered>,
    /// Why there is no answer.
    problem: String,
    /// Whether another site led here with a statement, which is then not run.
    waits: bool,
}

/// An answer on the page.
struct Answered {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    cut: bool,
    took: String,
}

/// What the page may be asked.
#[derive(Deserialize)]
pub(super) struct Asked {
    sql: Option<String>,
}

/// `GET /explore?sql=S`
pub(super) async fn page(
    State(site): State<Arc<AppState>>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let rendered = match query {
        Ok(Query(Asked { sql })) => render(&site, sql.unwrap_or_default(), &headers).await,
        Err(error) => Err(Failure::Query(error.body_text())),
    };
    shown(&site, rendered).await
}

async fn render(site: &AppState, sql: String, headers: &HeaderMap) -> Result<(StatusCode, String), Failure> {
    let began = Instant::now();
    let waits = security::is_led_from_elsewhere(headers) && !sql.is_empty();
    let (mut answer, mut problem, mut status) = (None, String::new(), StatusCode::OK);
    if !sql.trim().is_empty() && !waits {
        match queries::first(site, &sql, SHOWN).await {
            Ok(found) => answer = Some(Answered::of(found, began)),
            Err(error) => {
                let told: Told = Failure::Question(error).tell();
                (problem, status) = (told.message, told.status);
            }
        }
    }
    let page = Page {
        frame: Frame::around(site, "/explore").await?,
        plotly: site.assets.plotly(),
        sql,
        tables: tables::tables(&site.store).await?,
        answer,
        problem,
        waits,
    };
    Ok((status, page.render()?))
}

impl Answered {
    fn of(First { columns, rows, cut }: First, began: Instant) -> Answered {
        Answered { columns, rows, cut, took: format!("{:.2} s", began.elapsed().as_secs_f64()) }
    }

    /// Whether there is something to draw: a number beside anything else.
    fn is_drawn(&self) -> bool {
        self.rows.len() > 1 && self.columns.len() > 1 && self.columns.iter().any(is_number)
    }
}

fn is_number(column: &Column) -> bool {
    matches!(column.kind, ColumnType::Float | ColumnType::Int)
}

/// What the template asks.
impl Page {
    /// Name, statement and address of the examples whose table there is.
    fn examples(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> + '_ {
        let is_there = |table: &str| self.tables.iter().any(|known| known.name == table);
        EXAMPLES
            .iter()
            .filter(move |(_, table, _)| is_there(table))
            .map(|&(name, _, sql)| (name, sql, asking("/explore", sql, None)))
    }

    /// The first rows of a table, as a statement.
    fn peek(&self, table: &Table) -> String {
        let sql = format!("SELECT * FROM {} ORDER BY {} DESC LIMIT 50", table.name, table.time);
        asking("/explore", &sql, None)
    }

    fn file(&self, format: &str) -> String {
        asking("/api/v1/query", &self.sql, Some(format))
    }

    fn kind(&self, column: &Column) -> &'static str {
        match column.kind {
            ColumnType::Time => "time",
            ColumnType::Text | ColumnType::Bool => "text",
            ColumnType::Float | ColumnType::Int => "number",
        }
    }

    /// A value as a cell: times as times, numbers to twelve digits, which no double needs more of to be seen.
    fn cell(&self, column: &Column, value: &Value) -> String {
        match (column.kind, value) {
            (_, Value::Null) => String::new(),
            (ColumnType::Time, value) => value.as_i64().map(moment).unwrap_or_default(),
            (_, Value::Float(value)) => model::number::f64_text(rounded(*value)),
            (_, Value::Text(text)) => text.clone(),
            (_, value) => value.to_json().to_string(),
        }
    }

    fn at(&self, value: &Value) -> i64 {
        value.as_i64().unwrap_or_default()
    }

    fn rows_limit(&self) -> usize {
        LIMITS.rows.unwrap_or(usize::MAX)
    }

    fn seconds(&self) -> u64 {
        LIMITS.time.as_secs()
    }
}

fn moment(at: i64) -> String {
    model::time::rfc3339(at)
}

fn rounded(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

/// An address that asks a statement.
fn asking(path: &str, sql: &str, format: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("sql", sql);
    if let Some(format) = format {
        query.append_pair("format", format);
    }
    format!("{path}?{}", query.finish())
}
