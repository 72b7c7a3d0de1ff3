//! Local servers that play the price and news APIs over real sockets, with the
//! faults seen in the wild, a real Kafka and InfluxDB, and real bars; for tests.

pub mod arroyo;
pub mod command;
pub mod fake_influxdb;
pub mod guardian;
pub mod influxd;
pub mod kafka;
pub mod massive;
pub mod ports;
pub mod prometheus;
pub mod proxy;
mod real_bars;
pub mod scripted_influxdb;

pub use real_bars::real_bars;
