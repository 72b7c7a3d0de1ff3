#![cfg(test)]
//! The alarms: one description, of which the rules of Grafana and Prometheus are made;
//! and that each of them fires.

mod description;
mod files;
mod firing;
mod points;
