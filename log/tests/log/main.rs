//! The log: what every implementation does alike, and what Kafka's does when Kafka goes away.
#![cfg(test)]

mod bench;
mod conformance;
mod fences;
mod kafka;
