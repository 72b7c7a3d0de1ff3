#![cfg(test)]
//! The alarms: one description, of which the rules of Grafana and Prometheus are made;
//! and that each of them fires.

mod description;
mod firing;
mod points;
