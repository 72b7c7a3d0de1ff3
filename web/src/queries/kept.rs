//! The whole answer to a question, kept until it has been read: the question's place
//! is free as soon as the answer is there, however slowly somebody takes it.

use std::io::{self, BufRead, BufReader, Seek, Write};

use axum::http::HeaderMap;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::schema::{Column, Value};
use query::explore::Answer;
use serde_json::Value as Json;
use tempfile::SpooledTempFile;

use crate::error::Failure;
use crate::gzip;
use crate::tables::known::Field;
use crate::tables::{Page, Pages, Part};

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
        if gzip::is_taken(headers) { Encoding::Gzip } else { Encoding::Plain }
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
