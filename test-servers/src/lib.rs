//! Local servers that play the price and news APIs over real sockets, with the
//! faults seen in the wild; for tests.

pub mod arroyo;
pub mod guardian;
pub mod massive;
