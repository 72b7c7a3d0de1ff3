//! Studies of made and real bars, from outside the crate.

#![cfg(test)]

mod arrival;
mod harness;
mod honesty;
mod impact;
mod kept_out;
mod market;
mod markets;
mod real_bars;
