#![cfg(test)]
//! Grafana's dashboards and alert rules: whatever they ask for is written by the
//! jobs and the sink, and a real InfluxDB answers it with rows.

mod answers;
mod pictures;
