//! Serves HTTP to clients that may be slow, idle, many or hostile.
//!
//! Each connection takes a file descriptor, of which the process needs some for its own files.
//! Therefore the number of connections is limited ([`Limits`]), a client that sends no request
//! or reads no response is disconnected after a time limit, and at the limit the connection
//! that has been idle for longest is closed for a new one. An error of the listener never stops
//! the server.

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

use connection::{Answer, Connection, WriteTimeoutStream};

/// The pause after an error of the listener, such as a lack of file descriptors.
const LISTENER_ERROR_PAUSE: Duration = Duration::from_millis(100);
/// How often a client that waits for a free connection is checked.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The memory for the headers of one request, and for a response in progress, in bytes: the
/// longest URL is 64 KB, plus the headers.
const BUFFER: usize = 128 << 10;

/// Serves `router` until `ended` resolves and the requests in progress have been answered.
/// Dropping the future closes every connection at once. Handlers find the client's address as
/// `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, ended: impl Future<Output = ()>) {
    let mut ended = pin!(ended);
    let (ending, end) = watch::channel(());
    let mut open = OpenConnections { limits, places: HashMap::new(), tasks: JoinSet::new(), next: 0 };
    let mut waiting: Option<(TcpStream, SocketAddr)> = None;
    loop {
        tokio::select! {
            () = &mut ended => break,
            Some(closed) = open.tasks.join_next() => open.closed(closed.ok()),
            accepted = listener.accept(), if waiting.is_none() => match accepted {
                Ok(accepted) => waiting = Some(accepted),
                Err(error) => {
                    // Either the client has disconnected, or no file descriptor is free.
                    tracing::debug!(%error, "a connection could not be accepted");
                    open.close_idle(None);
                    tokio::time::sleep(LISTENER_ERROR_PAUSE).await;
                }
            },
            () = tokio::time::sleep(ROOM_CHECK_INTERVAL), if waiting.is_some() => {}
        }
        if let Some((stream, peer)) = waiting.take() {
            match open.room_for(peer.ip()) {
                Room::Free => open.serve_connection(stream, peer, router.clone(), end.clone()),
                Room::Soon => waiting = Some((stream, peer)),
                Room::None => tracing::debug!(%peer, "refused a connection: its address holds too many"),
            }
        }
    }
    drop((waiting, listener, ending));
    while open.tasks.join_next().await.is_some() {}
}

/// The open connections.
struct OpenConnections {
    limits: Limits,
    places: HashMap<u64, Arc<Connection>>,
    tasks: JoinSet<u64>,
    next: u64,
}

/// Whether a further connection may be opened.
enum Room {
    Free,
    /// When another connection has been closed or has become idle.
    Soon,
    None,
}

impl OpenConnections {
    fn closed(&mut self, number: Option<u64>) {
        match number {
            Some(number) => drop(self.places.remove(&number)),
            // A handler panicked; its number is unknown, so all ended connections are removed.
            None => self.places.retain(|_, connection| Arc::strong_count(connection) > 1),
        }
    }

    fn room_for(&self, address: IpAddr) -> Room {
        let of_address = self.places.values().filter(|other| other.address == address).count();
        let crowded = of_address >= self.limits.of_one_address && !(self.limits.may_be_many)(address);
        let full = self.places.len() >= self.limits.connections;
        match (full, crowded) {
            (false, false) => Room::Free,
            // A connection that is being closed makes room.
            (_, true) if !self.close_idle(Some(address)) => Room::None,
            (true, false) => {
                self.close_idle(None);
                Room::Soon
            }
            (_, true) => Room::Soon,
        }
    }

    /// Closes the connection that has been idle for longest, unless one is being closed
    /// already; returns whether a connection will be freed.
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

    fn serve_connection(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        router: Router,
        end: watch::Receiver<()>,
    ) {
        let connection = Connection::of(peer.ip());
        let number = self.next;
        self.next += 1;
        self.places.insert(number, Arc::clone(&connection));
        let Limits { header, stalled, .. } = self.limits;
        self.tasks.spawn(async move {
            // Without Nagle's delay, because server-sent events are small and urgent.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection sends with delay");
            }
            let stream = WriteTimeoutStream::new(stream, Arc::clone(&connection), stalled);
            serve_connection(stream, peer, &connection, router, header, end).await;
            number
        });
    }
}

/// Answers the requests of one connection until it is closed.
async fn serve_connection(
    stream: WriteTimeoutStream,
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

// The number of connections, from the number of files that the process may open.

/// A cap on the limit of open files, because some systems allow a billion.
const MOST_FILES: u64 = 1 << 16;
/// File descriptors reserved for what the process opens later: databases with their journals,
/// connections to feeds and servers, files of exports.
const RESERVED_FILES: u64 = 64;
/// The maximum number of connections; each also takes memory.
const MOST: u64 = 1_024;
/// The minimum number of connections: a browser opens six to a host, plus two more.
const LEAST: u64 = 8;
/// How long a client may take to send the headers of a request, and so also how long an idle
/// connection is kept. Browsers reconnect without an error.
const HEADER: Duration = Duration::from_secs(20);
/// How long a client may read nothing of a waiting response.
const STALLED: Duration = Duration::from_secs(30);

/// The limits of a server for its clients.
#[derive(Clone)]
pub struct Limits {
    /// The maximum number of connections.
    pub connections: usize,
    /// The maximum number of connections from one address.
    pub of_one_address: usize,
    /// Addresses that the limit for one address does not apply to: those of proxies.
    pub may_be_many: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// The time limit for the headers of a request.
    pub header: Duration,
    /// The time limit for a client to read a waiting response.
    pub stalled: Duration,
}

impl Limits {
    /// Limits that leave the process the file descriptors that it needs.
    pub fn of_process() -> Limits {
        let left = open_files().map_or(MOST, |(allowed, open)| allowed.saturating_sub(open + RESERVED_FILES));
        Limits::of(left.clamp(LEAST, MOST) as usize)
    }

    /// Few connections, for endpoints that only operators and their tools request.
    pub fn few() -> Limits {
        Limits::of(16)
    }

    /// The given number of connections, half of them from one address.
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

/// Raises the soft limit of open files to the hard limit of the system.
pub fn raise_open_files() {
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(MOST_FILES) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// The limit of open files, and the number of open ones.
#[cfg(unix)]
fn open_files() -> Option<(u64, u64)> {
    let (allowed, _) = rlimit::Resource::NOFILE.get().ok()?;
    // If the system does not list them: about as many as are open after the start.
    let open = std::fs::read_dir("/proc/self/fd").map_or(32, |files| files.count() as u64);
    Some((allowed, open))
}

#[cfg(not(unix))]
fn open_files() -> Option<(u64, u64)> {
    None
}
