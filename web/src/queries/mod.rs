//! Questions in SQL over what is stored, for the Explore page and for programs.

use std::io::{self, BufRead, BufReader, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use model::schema::{Column, Value};
use query::explore::{Answer, ExploreError, Limits};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tempfile::SpooledTempFile;

use crate::api::{HEADERS, json};
use crate::assets::is_taken;
use crate::error::Failure;
use crate::tables::{Field, Page, Pages, Part, download, format, written};
use crate::{AppState, request};

/// What a query of the page or of a program may take.
pub const LIMITS: Limits = Limits {
    time: Duration::from_secs(15),
    rows: Some(50_000),
    bytes: Some(32 << 20),
    memory: 256 << 20,
    at_once: 2,
};

/// What a page shows of an answer at most, in bytes.
const ON_A_PAGE: usize = 2 << 20;

/// The first rows of an answer.
pub(crate) struct First {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there would be more.
    pub(crate) cut: bool,
}

/// The first `most` rows of the answer to `sql`; the query is ended with them.
pub(crate) async fn first(site: &AppState, sql: &str, most: usize) -> Result<First, ExploreError> {
    let mut answer = site.explorer.first(sql, most, ON_A_PAGE).await?;
    let rows = answer.all().await?;
    Ok(First { columns: answer.columns().to_vec(), rows, cut: answer.is_cut() })
}

// The whole answer to a question, kept until it has been read: the question's place
// is free as soon as the answer is there, however slowly somebody takes it.

/// Answers up to this size stay in memory; longer ones go to a temporary file.
const IN_MEMORY: usize = 128 << 10;
/// Quick rather than small: somebody waits.
const COMPRESSION: u32 = 2;

/// An answer. Its rows lie as one line of JSON for each part of it.
pub(crate) struct Kept {
    pub(crate) columns: Vec<Column>,
    /// Whether there would have been more rows.
    pub(crate) cut: bool,
    rows: SpooledTempFile,
}

impl Kept {
    /// Waits for all of an answer.
    ///
    /// # Errors
    /// When the question fails, or there is no room for the answer.
    pub(crate) async fn all(mut answer: Answer) -> Result<Kept, Failure> {
        let mut rows = SpooledTempFile::new(IN_MEMORY);
        while let Some(part) = answer.next().await? {
            let put = move || {
                serde_json::to_writer(&mut rows, &part)?;
                rows.write_all(b"\n")?;
                Ok(rows)
            };
            let put = tokio::task::spawn_blocking(put).await;
            rows = put.map_err(io::Error::other).flatten().map_err(Failure::NoRoom)?;
        }
        rows.rewind().map_err(Failure::NoRoom)?;
        Ok(Kept { columns: answer.columns().to_vec(), cut: answer.is_cut(), rows })
    }

    /// Whether it is short enough to be held in memory while it is read.
    pub(crate) fn is_short(&self) -> bool {
        !self.rows.is_rolled()
    }

    /// The rows, as they are taken.
    pub(crate) fn pages(self) -> Rows {
        Rows { columns: self.columns, rows: BufReader::new(self.rows) }
    }

    /// Writes it as `{"columns": …, "rows": …, "cut": …}`.
    pub(crate) fn write(self, part: Part, asked: &Encoding) -> io::Result<()> {
        match asked {
            Encoding::Plain => self.write_to(&mut io::BufWriter::with_capacity(64 << 10, part)),
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(part, Compression::new(COMPRESSION));
                self.write_to(&mut encoder)?;
                encoder.finish().map(drop)
            }
        }
    }

    fn write_to(mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"{\"columns\":")?;
        serde_json::to_writer(&mut *out, &self.columns.iter().map(Field::of).collect::<Vec<_>>())?;
        out.write_all(b",\"rows\":[")?;
        let (mut line, mut first) = (Vec::new(), true);
        let mut rows = BufReader::new(&mut self.rows);
        while rows.read_until(b'\n', &mut line)? > 0 {
            // A line is a list of rows, `[…]`: what it holds goes on from the line before.
            let inner = line.trim_ascii();
            let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
            if !inner.is_empty() {
                out.write_all(if first { b"" } else { b"," })?;
                out.write_all(inner)?;
                first = false;
            }
            line.clear();
        }
        write!(out, "],\"cut\":{}}}", self.cut)?;
        out.flush()
    }
}

/// How an answer is sent.
pub(crate) enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    pub(crate) fn of(headers: &HeaderMap) -> Encoding {
        if is_taken(headers) { Encoding::Gzip } else { Encoding::Plain }
    }
}

/// The rows of an answer, part by part.
pub(crate) struct Rows {
    columns: Vec<Column>,
    rows: BufReader<SpooledTempFile>,
}

impl Rows {
    /// Those of the next part.
    pub(crate) fn part(&mut self) -> io::Result<Option<Vec<Vec<Value>>>> {
        let mut line = Vec::new();
        if self.rows.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let rows: Vec<Vec<Json>> = serde_json::from_slice(&line)?;
        let value =
            |(value, column): (&Json, &Column)| Value::from_json(value, column.kind).unwrap_or(Value::Null);
        Ok(Some(rows.iter().map(|row| row.iter().zip(&self.columns).map(value).collect()).collect()))
    }
}

impl Pages for Rows {
    fn next(&mut self) -> Page<'_> {
        // Read on the thread of the download, which may wait for a disk.
        let part = self.part().map_err(|error| error.to_string());
        Box::pin(std::future::ready(part))
    }
}

// `/api/v1/query`: one statement of SQL, answered as JSON or as a file.

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
