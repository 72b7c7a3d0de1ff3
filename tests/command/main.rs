#![cfg(test)]
//! The whole command, from outside: what a user types, what comes out.
//!
//! A test goes into the file of its topic; what several need is in `harness`.

mod alerts;
mod apart;
mod backtest;
mod backup;
mod bad_input;
mod beside;
mod compute;
mod dead_letters;
mod harness;
mod help;
mod init;
mod jobs_reference;
mod live;
mod page;
mod query;
mod recompute;
mod replay;
mod rules;
mod services;
mod sessions;
mod stopping;
mod volatility_reference;
mod watchlist;
mod web;
