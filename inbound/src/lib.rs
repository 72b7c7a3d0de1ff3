//! Serving HTTP to clients that may be slow, idle, many or hostile.
//!
//! A connection costs a file descriptor, and the process needs descriptors for
//! its own files. So the number of connections is limited ([`Limits`]), a
//! client that sends no request or takes no answer is waited for only so long,
//! and where all places are taken the connection that has been idle for longest
//! is closed for the next one. An error of the listener never ends the server.

mod connection;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt;

use connection::{Answer, Connection, Patient};

/// The pause after the listener failed, as it does without a free descriptor.
const AFTER_ERROR: Duration = Duration::from_millis(100);
/// How often a client that waits for a place is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The memory for the header of one request, and for an answer under way, in
/// bytes: the longest address is 64 KB, and its headers come on top.
const BUFFER: usize = 128 << 10;

/// Serves `router` until `ended` resolves and the requests under way then have
/// been answered. Dropping the future closes every connection at once. Handlers
/// find the peer's address as `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, ended: impl Future<Output = ()>) {
    let mut ended = pin!(ended);
    let (ending, end) = watch::channel(());
    let mut open = Open { limits, places: HashMap::new(), tasks: JoinSet::new(), next: 0 };
    let mut waiting: Option<(TcpStream, SocketAddr)> = None;
    loop {
        tokio::select! {
            () = &mut ended => break,
            Some(closed) = open.tasks.join_next() => open.closed(closed.ok()),
            accepted = listener.accept(), if waiting.is_none() => match accepted {
                Ok(accepted) => waiting = Some(accepted),
                Err(error) => {
                    // Either the client has gone, or there is no descriptor left.
                    tracing::debug!(%error, "a connection could not be accepted");
                    open.close_idle(None);
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            },
            () = tokio::time::sleep(LOOK_AGAIN), if waiting.is_some() => {}
        }
        if let Some((stream, peer)) = waiting.take() {
            match open.room_for(peer.ip()) {
                Room::Free => open.attend(stream, peer, router.clone(), end.clone()),
                Room::Soon => waiting = Some((stream, peer)),
                Room::None => tracing::debug!(%peer, "refused a connection: its address holds too many"),
            }
        }
    }
    drop((waiting, listener, ending));
    while open.tasks.join_next().await.is_some() {}
}

/// The connections that are open.
struct Open {
    limits: Limits,
    places: HashMap<u64, Arc<Connection>>,
    tasks: JoinSet<u64>,
    next: u64,
}

/// Whether one more connection may be opened.
enum Room {
    Free,
    /// As soon as another has been closed or is idle.
    Soon,
    None,
}

impl Open {
    fn closed(&mut self, number: Option<u64>) {
        match number {
            Some(number) => drop(self.places.remove(&number)),
            // A handler panicked: which one is not said, so all that have ended are looked for.
            None => self.places.retain(|_, connection| Arc::strong_count(connection) > 1),
        }
    }

    fn room_for(&self, address: IpAddr) -> Room {
        let of_address = self.places.values().filter(|other| other.address == address).count();
        let crowded = of_address >= self.limits.of_one_address && !(self.limits.may_be_many)(address);
        let full = self.places.len() >= self.limits.connections;
        match (full, crowded) {
            (false, false) => Room::Free,
            // One that is being closed makes room in a moment.
            (_, true) if !self.close_idle(Some(address)) => Room::None,
            (true, false) => {
                self.close_idle(None);
                Room::Soon
            }
            (_, true) => Room::Soon,
        }
    }

    /// Closes the connection that has been idle for longest, unless one is being
    /// closed already; returns whether there is one.
    fn close_idle(&self, of: Option<IpAddr>) -> bool {
        let candidates =
            || self.places.values().filter(|connection| of.is_none_or(|of| connection.address == of));
        if candidates().any(|connection| connection.is_closing()) {
            return true;
        }
        let idle = candidates().filter_map(|connection| Some((connection.idle_since()?, connection)));
        let oldest = idle.min_by_key(|(since, _)| *since);
        oldest.map(|(_, connection)| connection.close()).is_some()
    }

    fn attend(&mut self, stream: TcpStream, peer: SocketAddr, router: Router, end: watch::Receiver<()>) {
        let connection = Connection::of(peer.ip());
        let number = self.next;
        self.next += 1;
        self.places.insert(number, Arc::clone(&connection));
        let Limits { header, stalled, .. } = self.limits;
        self.tasks.spawn(async move {
            // Events are small and should not wait for each other.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection sends with delay");
            }
            let stream = Patient::new(stream, Arc::clone(&connection), stalled);
            attend(stream, peer, &connection, router, header, end).await;
            number
        });
    }
}

/// Answers the requests of one connection until it is closed.
async fn attend(
    stream: Patient,
    peer: SocketAddr,
    connection: &Arc<Connection>,
    router: Router,
    header: Duration,
    mut end: watch::Receiver<()>,
) {
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        let answering = connection.answering();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await?.map(|body| Answer::new(body, answering))) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    let mut is_ending = false;
    loop {
        tokio::select! {
            outcome = serving.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%peer, %error, "a connection ended");
                }
                return;
            }
            () = connection.closed() => return,
            _ = end.changed(), if !is_ending => {
                is_ending = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

// How many connections there may be, from how many files the process may open.

/// More open files than any of our processes needs; some systems allow a billion.
const MOST_FILES: u64 = 1 << 16;
/// Descriptors kept free for what the process opens later: databases with their
/// journals, connections to feeds and servers, files of exports.
const KEPT_FREE: u64 = 64;
/// The most connections, however many files may be open: each takes memory too.
const MOST: u64 = 1_024;
/// A browser opens six connections to a host, and there is always one more.
const LEAST: u64 = 8;
/// How long a client may take to send the header of a request, from its
/// connection or from the answer before; so also how long a connection is kept
/// between two requests. Browsers open it again without a word.
const HEADER: Duration = Duration::from_secs(20);
/// How long a client may take none of an answer that is ready for it.
const STALLED: Duration = Duration::from_secs(30);

/// What a server allows its clients.
#[derive(Clone)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address.
    pub of_one_address: usize,
    /// Addresses that the limit above does not hold for: those of proxies.
    pub may_be_many: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// How long the header of a request is waited for.
    pub header: Duration,
    /// How long an answer that is ready may wait for its reader.
    pub stalled: Duration,
}

impl Limits {
    /// As many connections as leave the process the files that it needs.
    pub fn of_process() -> Limits {
        let left = open_files().map_or(MOST, |(allowed, open)| allowed.saturating_sub(open + KEPT_FREE));
        Limits::of(left.clamp(LEAST, MOST) as usize)
    }

    /// A few connections, for what only operators and their tools ask.
    pub fn few() -> Limits {
        Limits::of(16)
    }

    /// So many connections, half of them from one address.
    pub fn of(connections: usize) -> Limits {
        Limits {
            connections,
            of_one_address: connections.div_ceil(2),
            may_be_many: Arc::new(|_| false),
            header: HEADER,
            stalled: STALLED,
        }
    }
}

/// Lets this process open as many files as the system allows without asking
/// anybody, which is often more than it allows at first.
pub fn raise_open_files() {
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(MOST_FILES) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// How many files may be open, and how many are.
#[cfg(unix)]
fn open_files() -> Option<(u64, u64)> {
    let (allowed, _) = rlimit::Resource::NOFILE.get().ok()?;
    // Where the system does not list them, a start opens about as many.
    let open = std::fs::read_dir("/proc/self/fd").map_or(32, |files| files.count() as u64);
    Some((allowed, open))
}

#[cfg(not(unix))]
fn open_files() -> Option<(u64, u64)> {
    None
}
