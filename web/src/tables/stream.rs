//! A table that is written to whoever downloads it while it is read: of any
//! length in the memory of a few pages.
//!
//! A download has a place while it lasts. A reader that takes next to nothing keeps
//! its place as long as nobody else wants it; then the slowest one loses it.

use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use files::{Format, TableWriter};
use futures::stream;
use model::schema::{Column, Value};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::error::Failure;

/// So many downloads at once; each takes a thread while it lasts.
const AT_ONCE: usize = 8;
/// Parts of a file that wait for a slow reader.
const AHEAD: usize = 4;
/// A reader that takes nothing for so long is not waited for, whoever else there is.
const GONE: Duration = Duration::from_secs(60);
/// A reader that takes less than so many bytes in a second may lose its place to
/// another: slower than the slowest link over which tables are read.
const SLOW: f64 = 32.0 * 1024.0;
/// How long a place may take to become free once its reader has lost it.
const HANDOVER: Duration = Duration::from_secs(2);

/// A page of rows that is still being read.
pub(crate) type Page<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<Vec<Value>>>, String>> + Send + 'a>>;

/// Where the rows of a table come from, a page after the other until there are none.
pub(crate) trait Pages: Send + 'static {
    /// The next rows; why not, in words for the log.
    fn next(&mut self) -> Page<'_>;
}

/// The places for downloads.
pub(crate) struct Downloads {
    places: Arc<Semaphore>,
    /// How fast those are read that go on.
    running: Mutex<Vec<Weak<Progress>>>,
    /// Over how much time a reader is measured.
    measured: Duration,
}

/// A place for one download, with how fast it is read.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    progress: Arc<Progress>,
}

impl Downloads {
    /// Places whose readers are measured over so much time.
    pub(crate) fn new(measured: Duration) -> Downloads {
        Downloads { places: Arc::new(Semaphore::new(AT_ONCE)), running: Mutex::default(), measured }
    }

    /// A place, if need be that of the slowest reader.
    pub(crate) async fn place(&self) -> Result<Place, Failure> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) if self.end_the_slowest() => {
                let freed = tokio::time::timeout(HANDOVER, Arc::clone(&self.places).acquire_owned()).await;
                freed.ok().and_then(Result::ok).ok_or(Failure::Busy(AT_ONCE))?
            }
            Err(_) => return Err(Failure::Busy(AT_ONCE)),
        };
        let progress = Arc::new(Progress::new(self.measured));
        let mut running = locked(&self.running);
        running.retain(|progress| progress.strong_count() > 0);
        running.push(Arc::downgrade(&progress));
        Ok(Place { _place: place, progress })
    }

    /// Whether there is a reader that is too slow, which then loses its place.
    fn end_the_slowest(&self) -> bool {
        let running: Vec<_> = locked(&self.running).iter().filter_map(Weak::upgrade).collect();
        let rates = running.iter().map(|progress| (progress, progress.rate()));
        let slowest = rates.filter(|(_, rate)| *rate < SLOW).min_by(|one, other| one.1.total_cmp(&other.1));
        match slowest {
            Some((progress, _)) => {
                progress.lost.notify_one();
                true
            }
            None => false,
        }
    }
}

/// How fast a download is read.
struct Progress {
    measured: Duration,
    window: Mutex<Window>,
    /// Told once its place goes to another.
    lost: Notify,
}

struct Window {
    since: Instant,
    bytes: usize,
    /// The rate of the window before, in bytes a second.
    before: f64,
}

impl Progress {
    fn new(measured: Duration) -> Progress {
        let window = Window { since: Instant::now(), bytes: 0, before: f64::INFINITY };
        Progress { measured, window: Mutex::new(window), lost: Notify::new() }
    }

    fn took(&self, bytes: usize) {
        let mut window = locked(&self.window);
        if let Some(rate) = window.rate(self.measured) {
            *window = Window { since: Instant::now(), bytes: 0, before: rate };
        }
        window.bytes += bytes;
    }

    fn rate(&self) -> f64 {
        let window = locked(&self.window);
        window.rate(self.measured).unwrap_or(window.before)
    }
}

impl Window {
    /// Bytes a second, once the window is long enough to say.
    fn rate(&self, measured: Duration) -> Option<f64> {
        let elapsed = self.since.elapsed();
        (elapsed >= measured).then(|| self.bytes as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE))
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file `name`, without its ending, of `columns` with the rows of `pages`.
pub(crate) fn download(
    place: Place,
    name: &str,
    format: Format,
    columns: Vec<Column>,
    pages: impl Pages,
) -> Response {
    let file = name.to_owned();
    let body = written(place, name, move |part| write(&file, format, &columns, pages, part));
    let name = format!("attachment; filename=\"{name}.{}\"", format.extension());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}

/// A body that `write` writes on a thread of its own, as fast as it is read. A failure
/// half way cuts the connection, so that no half file passes for a whole one.
pub(crate) fn written(
    place: Place,
    name: &str,
    write: impl FnOnce(Part) -> Result<(), String> + Send + 'static,
) -> Body {
    let (parts, mut body) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
    let file = name.to_owned();
    let reader = Handle::current();
    let whole = Arc::new(AtomicBool::new(false));
    let is_whole = Arc::clone(&whole);
    tokio::task::spawn_blocking(move || {
        // Its end is the end of the body, and must not be seen before what it was.
        let open = parts.clone();
        match write(Part { parts, progress: Arc::clone(&place.progress), reader }) {
            Ok(()) => whole.store(true, Ordering::Release),
            Err(error) => tracing::warn!(file, error, "a download ended early"),
        }
        drop((open, place));
    });
    let mut ended = false;
    Body::from_stream(stream::poll_fn(move |context| match body.poll_recv(context) {
        Poll::Ready(None) if !ended && !is_whole.load(Ordering::Acquire) => {
            ended = true;
            Poll::Ready(Some(Err(io::Error::other("the rest cannot be read"))))
        }
        part => part,
    }))
}

fn write(
    name: &str,
    format: Format,
    columns: &[Column],
    mut pages: impl Pages,
    part: Part,
) -> Result<(), String> {
    let reader = part.reader.clone();
    let mut table = TableWriter::stream(format, columns, name, part).map_err(words)?;
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

/// The way to whoever reads: full, it waits, but not for a reader that has gone or
/// whose place went to another.
pub(crate) struct Part {
    parts: mpsc::Sender<io::Result<Bytes>>,
    progress: Arc<Progress>,
    reader: Handle,
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sending = self.parts.send(Ok(Bytes::copy_from_slice(bytes)));
        let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "it was read too slowly");
        self.reader.block_on(async {
            tokio::select! {
                biased;
                sent = tokio::time::timeout(GONE, sending) => match sent {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
                    Err(_) => Err(too_slow()),
                },
                () = self.progress.lost.notified() => Err(too_slow()),
            }
        })?;
        self.progress.took(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
