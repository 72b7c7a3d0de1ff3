//! Local servers that play the price and news APIs over real sockets, with the
//! faults seen in the wild, and a real Kafka and InfluxDB; for tests.

pub mod arroyo;
pub mod guardian;
pub mod influxd;
pub mod kafka;
pub mod massive;
pub mod scripted_influxdb;
