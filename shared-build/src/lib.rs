//! Nothing but a list of features: see the comment in this crate's `Cargo.toml`.
