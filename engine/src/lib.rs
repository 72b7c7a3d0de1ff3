//! The local engine: it plans the files of `sql/` with the UDFs on DataFusion and runs them in
//! this process, over the log (streaming) or over a list of bars (batch).
//!
//! The SQL of a job is split at its hop windows. The part under a hop window is aggregated
//! here, incrementally and in event time ([`window`]). DataFusion runs the part above it over
//! the rows of each window as it closes. A job without windows is a join, which emits rows as
//! they match ([`plan`]). A job that only selects known measures of bars is computed from sums
//! ([`rolling`]). Streaming and batch share these steps, so that both have the same results,
//! bit for bit.

mod batch;
mod error;
#[cfg(test)]
mod extending;
mod job;
mod plan;
mod rolling;
mod sql;
mod stream;
mod table;
mod udaf;
mod window;

pub use batch::{compute, compute_as_of_arrival};
pub use error::EngineError;
pub use job::{Hop, Job};
pub use rolling::{Rolling, Unordered, Windows, in_any_order, in_order};
pub use stream::run;
