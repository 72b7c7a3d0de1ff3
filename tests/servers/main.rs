#![cfg(test)]
//! Services as processes of their own, over a real Kafka and a real InfluxDB.
//!
//! A test goes into the file of its topic; what several need is in `harness`.

mod clock;
mod deploy;
mod downtime;
mod flow;
mod harness;
mod jobs;
mod kills;
mod process;
mod trouble;
