//! Ports for servers that are stopped and started again at the same place.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;

/// Below the ports that Linux gives to outgoing connections (32768 and up by default).
/// While a server is away, such a port may become the near end of somebody's connection,
/// even of a connection to itself by a client that looks for the server: the server does
/// not start again, and its clients wait for an answer for ever.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// A port of 127.0.0.1 where nothing listens.
///
/// # Panics
/// When a thousand ports are in use.
pub fn free() -> u16 {
    let random = || FIRST + (RandomState::new().build_hasher().finish() % u64::from(LAST - FIRST)) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(random).take(1_000).find(is_free).expect("a free port")
}
