//! Deployments to a server that plays Arroyo's API.
#![cfg(test)]

mod changes;
mod faults;
mod harness;
mod text;
mod watch;
