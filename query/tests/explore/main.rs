//! Queries over a real store: what they give, and what they are refused.

#![cfg(test)]

mod answers;
mod corpus;
mod harness;
mod refusals;
