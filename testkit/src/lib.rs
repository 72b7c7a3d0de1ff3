//! Servers for tests: local stand-ins for the price and news APIs, for Arroyo and InfluxDB,
//! with the faults seen in practice; real Kafka, InfluxDB and Prometheus servers where they are
//! installed; and recorded bars.

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

pub use real_bars::{real_bars, real_crypto_bars, real_currency_bars};
