#![cfg(test)]
//! Services as processes of their own, over a real Kafka and a real InfluxDB.
//!
//! A test goes into the file of its topic; what several need is in `harness`.

mod deploy;
mod downtime;
mod flow;
mod harness;
mod kills;
mod process;
