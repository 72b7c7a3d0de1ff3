//! Tests of the log: those that every kind passes, and those of Kafka outages and fencing.
#![cfg(test)]

mod bench;
mod conformance;
mod fences;
mod kafka;
