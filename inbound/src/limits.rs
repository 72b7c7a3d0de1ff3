//! How many connections there may be, from how many files the process may open.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

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
