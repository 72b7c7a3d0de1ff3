//! Finds ports for servers that are restarted at the same address.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;

/// The range is below the ephemeral ports of Linux (32768 and up by default). While a server is
/// down, an ephemeral port may be taken for an outgoing connection, even by a client that
/// connects to the server's address and so to itself; the server could not start again then.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// A port of 127.0.0.1 on which nothing listens.
///
/// # Panics
/// When none of a thousand random ports is free.
pub fn free() -> u16 {
    let random = || FIRST + (RandomState::new().build_hasher().finish() % u64::from(LAST - FIRST)) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(random).take(1_000).find(is_free).expect("a free port")
}
