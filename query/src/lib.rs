//! Read-only questions over a store: statements in SQL, and headlines by their words.

pub mod explore;
pub mod headlines;
