//! The interface of reqwest 0.11, as far as influxdb2 0.5 uses it, is that of
//! reqwest 0.13 unchanged. `[patch.crates-io]` of the workspace puts this crate in
//! the place of reqwest 0.11, so that the old HTTP and TLS stack is not built in.

pub use current::*;
