//! How much is done at once, whatever is asked: requests that are worked on,
//! event streams that are open, and questions whether the page is ready.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{Mutex, Semaphore};

use crate::AppState;
use crate::error::{Failure, refused_at};

/// Requests worked on at once; others wait for their turn. An answer may take
/// some ten megabytes while it is made.
const AT_ONCE: usize = 16;
/// An answer whether the page is ready is as good for so long: asking the log
/// and the store costs more than the question.
const READY_FOR: Duration = Duration::from_secs(1);

/// What is being done.
pub(crate) struct Load {
    work: Semaphore,
    streams: Arc<Streams>,
    ready: Mutex<Option<(Instant, Readiness)>>,
}

/// Whether the page is ready, as it is answered.
pub(crate) type Readiness = (StatusCode, &'static str);

/// The open event streams.
struct Streams {
    /// In all: pages and the API keep a quarter of all connections.
    most: usize,
    of_one_address: usize,
    open: Lock<HashMap<IpAddr, usize>>,
}

/// The place of an open stream, as long as it is kept.
pub(crate) struct StreamPlace {
    streams: Arc<Streams>,
    client: IpAddr,
}

impl Load {
    /// For a server that takes so many connections.
    pub(crate) fn of(connections: usize) -> Load {
        let most = (connections * 3 / 4).max(1);
        let streams = Streams { most, of_one_address: most.div_ceil(2), open: Lock::default() };
        Load { work: Semaphore::new(AT_ONCE), streams: Arc::new(streams), ready: Mutex::default() }
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// When all are taken, or those of the client's address.
    pub(crate) fn stream(&self, client: IpAddr) -> Result<StreamPlace, Failure> {
        let mut open = self.streams.open();
        let of_client = open.get(&client).copied().unwrap_or(0);
        if of_client >= self.streams.of_one_address || open.values().sum::<usize>() >= self.streams.most {
            return Err(Failure::Crowded);
        }
        open.insert(client, of_client + 1);
        drop(open);
        Ok(StreamPlace { streams: Arc::clone(&self.streams), client })
    }

    /// Whether the page is ready: found out by `look`, unless it has just been.
    pub(crate) async fn ready(&self, look: impl Future<Output = Readiness>) -> Readiness {
        let mut known = self.ready.lock().await;
        match *known {
            Some((at, ready)) if at.elapsed() < READY_FOR => ready,
            _ => {
                let ready = look.await;
                *known = Some((Instant::now(), ready));
                ready
            }
        }
    }
}

impl Streams {
    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        match open.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.client)),
        }
    }
}

/// Lets a request be worked on when it is its turn.
pub(crate) async fn turn(State(site): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/assets/")
        || matches!(path, "/events" | "/livez" | "/healthz" | "/readyz" | "/login")
    {
        return next.run(request).await;
    }
    match site.load.work.acquire().await {
        Ok(_turn) => next.run(request).await,
        Err(_) => {
            let path = path.to_owned();
            refused_at(&path, StatusCode::SERVICE_UNAVAILABLE, "The program is ending.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn streams_leave_connections_for_pages_and_no_address_takes_all_of_them() {
        let load = Load::of(16);
        let of_one: Vec<_> = (0..6).map(|_| load.stream(ip(1)).unwrap()).collect();
        assert!(matches!(load.stream(ip(1)), Err(Failure::Crowded)));
        let _others: Vec<_> = (2..8).map(|other| load.stream(ip(other)).unwrap()).collect();
        assert!(matches!(load.stream(ip(9)), Err(Failure::Crowded)), "a quarter is kept");
        drop(of_one);
        assert!(load.stream(ip(9)).is_ok());
        assert_eq!(load.streams.open().len(), 6, "addresses without streams are forgotten");
    }

    #[tokio::test]
    async fn readiness_is_looked_at_once_for_many_who_ask() {
        let load = Load::of(16);
        let mut looked = 0;
        for _ in 0..5 {
            let ready = load.ready(async {
                looked += 1;
                (StatusCode::OK, "ready\n")
            });
            assert_eq!(ready.await.0, StatusCode::OK);
        }
        assert_eq!(looked, 1);
    }
}
