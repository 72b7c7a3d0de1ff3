//! Read-only queries over a store: SQL statements, and full-text search over headlines.

pub mod explore;
pub mod headlines;
