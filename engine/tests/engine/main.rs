#![cfg(test)]
//! Jobs over a log, as they are streamed, against the same jobs computed at once.

mod bench;
mod market;
mod news;
mod streaming;
