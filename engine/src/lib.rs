//! The local engine: plans the files of `sql/` with the UDFs on DataFusion and
//! runs them in this process, over the log (streaming) or over bars (batch).
//!
//! A job's SQL is cut at its hop windows. What stands under a hop window is
//! aggregated here, incrementally and in event time ([`window`]); what stands
//! above it is run by DataFusion over the rows of each window as it closes. A job
//! without windows is a join, whose rows go out as they meet ([`plan`]). A job
//! that only chooses measures of bars is computed from sums instead ([`rolling`]).
//! Both ways of running share every step, so that what was streamed equals
//! what is computed afterwards, bit for bit.

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
pub use rolling::{Disordered, Rolling, Windows, in_any_order, in_order};
pub use stream::run;
