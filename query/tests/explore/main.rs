//! Queries over an embedded store: their answers, and which of them are rejected.

#![cfg(test)]

mod answers;
mod corpus;
mod harness;
mod refusals;
