#![cfg(test)]
//! Faults of every kind while the pipeline works, and an account of every event
//! that the source issued: written, refused with a reason, or still to come.

mod account;
mod broken;
mod embedded;
mod groups;
#[path = "../command/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of the command, which use more of it")]
mod harness;
mod hour;
mod in_process;
mod load;
mod market;
mod page;
mod poison;
mod promises;
mod scene;
mod services;
mod tampered;
