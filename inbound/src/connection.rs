//! One connection: its idle time, and a stream that fails if the client stops reading.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Sleep;

/// The least that a client must read within the time limit, in bytes, so that it cannot hold a
/// connection by reading single bytes.
const LEAST: usize = 16 << 10;

/// The state of an open connection.
pub(crate) struct Connection {
    pub(crate) address: IpAddr,
    doing: Mutex<Doing>,
    close: Notify,
}

struct Doing {
    /// A request is being answered.
    answering: bool,
    /// A response waits for the client to read.
    writing: bool,
    closing: bool,
    /// Since when it has been idle.
    idle: Instant,
}

impl Connection {
    pub(crate) fn of(address: IpAddr) -> Arc<Connection> {
        let doing = Doing { answering: false, writing: false, closing: false, idle: Instant::now() };
        Arc::new(Connection { address, doing: Mutex::new(doing), close: Notify::new() })
    }

    /// Since when it has waited for a request; `None` if it does not.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let doing = self.doing();
        (!doing.answering && !doing.writing).then_some(doing.idle)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.doing().closing
    }

    /// Requests that the connection be closed.
    pub(crate) fn close(&self) {
        self.doing().closing = true;
        self.close.notify_one();
    }

    /// Waits until closing is requested.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Marks the connection as answering a request until the result is dropped.
    pub(crate) fn answering(self: &Arc<Connection>) -> Answering {
        self.doing().answering = true;
        Answering(Arc::clone(self))
    }

    fn writing(&self, writing: bool) {
        let mut doing = self.doing();
        if doing.writing && !writing {
            doing.idle = Instant::now();
        }
        doing.writing = writing;
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress.
pub(crate) struct Answering(Arc<Connection>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut doing = self.0.doing();
        doing.answering = false;
        doing.idle = Instant::now();
    }
}

/// The body of a response; the request is in progress until the body has been sent.
pub(crate) struct Answer {
    body: Body,
    answering: Option<Answering>,
}

impl Answer {
    pub(crate) fn new(body: Body, answering: Answering) -> Answer {
        let answering = (!body.is_end_stream()).then_some(answering);
        Answer { body, answering }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.answering = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose writes fail if the client reads less than [`LEAST`] bytes of the waiting
/// response within `patience`.
pub(crate) struct WriteTimeoutStream {
    stream: TcpStream,
    connection: Arc<Connection>,
    patience: Duration,
    backlog: Option<Backlog>,
}

/// A response that waits for the client to read.
struct Backlog {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl WriteTimeoutStream {
    pub(crate) fn new(
        stream: TcpStream,
        connection: Arc<Connection>,
        patience: Duration,
    ) -> WriteTimeoutStream {
        WriteTimeoutStream { stream, connection, patience, backlog: None }
    }

    fn clear_backlog(&mut self) {
        if self.backlog.take().is_some() {
            self.connection.writing(false);
        }
    }

    /// Updates the backlog after a write.
    fn written(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(count)) => {
                if let Some(backlog) = &mut self.backlog {
                    backlog.taken += count;
                    if backlog.taken >= LEAST {
                        self.clear_backlog();
                    }
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                let patience = self.patience;
                let backlog = self.backlog.get_or_insert_with(|| Backlog {
                    until: Box::pin(tokio::time::sleep(patience)),
                    taken: 0,
                });
                self.connection.writing(true);
                ready!(backlog.until.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not read the response",
                )))
            }
        }
    }
}

impl AsyncRead for WriteTimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteTimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when everything available has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.clear_backlog();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
