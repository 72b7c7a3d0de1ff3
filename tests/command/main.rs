#![cfg(test)]
//! The whole command, from outside: what a user types, what comes out.
//!
//! A test goes into the file of its topic; what several need is in `harness`.

mod alerts;
mod apart;
mod backup;
mod bad_input;
mod compute;
mod harness;
mod init;
mod jobs_reference;
mod live;
mod markets;
mod replay;
mod volatility_reference;
mod watchlist;
mod web;
