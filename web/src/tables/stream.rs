//! A table that is written to whoever downloads it while it is read: of any
//! length in the memory of a few pages.

use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use files::{Format, TableWriter};
use futures::stream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use wire::schema::{Column, Value};

use crate::error::Failure;

/// So many downloads at once; each takes a thread while it lasts.
const AT_ONCE: usize = 8;
/// Parts of a file that wait for a slow reader.
const AHEAD: usize = 4;

/// A page of rows that is still being read.
pub(crate) type Page<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<Vec<Value>>>, String>> + Send + 'a>>;

/// Where the rows of a table come from, a page after the other until there are none.
pub(crate) trait Pages: Send + 'static {
    /// The next rows; why not, in words for the log.
    fn next(&mut self) -> Page<'_>;
}

/// The places for downloads.
pub(crate) struct Downloads(Arc<Semaphore>);

impl Default for Downloads {
    fn default() -> Downloads {
        Downloads(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// The file `name`, without its ending, of `columns` with the rows of `pages`.
/// A failure half way cuts the connection, so that no half file passes for a whole one.
pub(crate) fn download(
    downloads: &Downloads,
    name: &str,
    format: Format,
    columns: Vec<Column>,
    pages: impl Pages,
) -> Result<Response, Failure> {
    let place = Arc::clone(&downloads.0).try_acquire_owned().map_err(|_| Failure::Busy(AT_ONCE))?;
    let (parts, mut body) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
    let file = name.to_owned();
    tokio::task::spawn_blocking(move || {
        let _place = place;
        if let Err(error) = write(&file, format, &columns, pages, &parts) {
            tracing::warn!(file, error, "a download ended early");
            let _ = parts.blocking_send(Err(io::Error::other("the rest cannot be read")));
        }
    });
    let name = format!("attachment; filename=\"{name}.{}\"", format.extension());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let body = Body::from_stream(stream::poll_fn(move |context| body.poll_recv(context)));
    Ok((headers, body).into_response())
}

fn write(
    name: &str,
    format: Format,
    columns: &[Column],
    mut pages: impl Pages,
    parts: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), String> {
    let reader = Handle::current();
    let mut table = TableWriter::stream(format, columns, name, Part(parts.clone())).map_err(words)?;
    while let Some(rows) = reader.block_on(pages.next())? {
        for row in &rows {
            table.write_row(row).map_err(words)?;
        }
    }
    table.finish().map_err(words)
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The way to whoever reads: full, it waits.
struct Part(mpsc::Sender<io::Result<Bytes>>);

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
