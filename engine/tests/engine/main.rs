#![cfg(test)]
//! Tests of jobs over a log, streamed and computed at once.

mod bench;
mod market;
mod news;
mod streaming;
