//! One connection: whether it is idle, and for how long it may take nothing.

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

/// What a client must take of an answer within the time that it may stall, in
/// bytes: less is as good as nothing, so that a place cannot be held byte by byte.
const LEAST: usize = 16 << 10;

/// What the server knows of an open connection.
pub(crate) struct Connection {
    pub(crate) address: IpAddr,
    doing: Mutex<Doing>,
    close: Notify,
}

struct Doing {
    /// A request is being answered.
    answering: bool,
    /// An answer waits for its reader.
    writing: bool,
    closing: bool,
    /// Since when neither.
    idle: Instant,
}

impl Connection {
    pub(crate) fn of(address: IpAddr) -> Arc<Connection> {
        let doing = Doing { answering: false, writing: false, closing: false, idle: Instant::now() };
        Arc::new(Connection { address, doing: Mutex::new(doing), close: Notify::new() })
    }

    /// Since when it waits for a request, if it does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let doing = self.doing();
        (!doing.answering && !doing.writing).then_some(doing.idle)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.doing().closing
    }

    /// Asks for its end.
    pub(crate) fn close(&self) {
        self.doing().closing = true;
        self.close.notify_one();
    }

    /// Waits until its end is asked for.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    /// It answers a request as long as this is kept.
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

/// A request under way.
pub(crate) struct Answering(Arc<Connection>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut doing = self.0.doing();
        doing.answering = false;
        doing.idle = Instant::now();
    }
}

/// The body of an answer: the request is under way until it has been given out.
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

/// A stream whose writes fail once its reader has taken less than [`LEAST`]
/// bytes of what is ready for it within a time.
pub(crate) struct Patient {
    stream: TcpStream,
    connection: Arc<Connection>,
    patience: Duration,
    backlog: Option<Backlog>,
}

/// An answer that its reader has not taken.
struct Backlog {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl Patient {
    pub(crate) fn new(stream: TcpStream, connection: Arc<Connection>, patience: Duration) -> Patient {
        Patient { stream, connection, patience, backlog: None }
    }

    fn no_backlog(&mut self) {
        if self.backlog.take().is_some() {
            self.connection.writing(false);
        }
    }

    /// What becomes of a write.
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
                        self.no_backlog();
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
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not read")))
            }
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
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

    /// Asked for once everything that was ready has been written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.no_backlog();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
