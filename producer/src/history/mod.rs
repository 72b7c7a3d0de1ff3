//! Polygon's history of minute bars over REST.

mod answer;
mod backfill;
mod client;
mod quota;

pub use backfill::{BackfillProgress, Backfilled, backfill};

pub(crate) use answer::{Page, bar};
#[cfg(test)]
pub(crate) use backfill::backfill_by;
pub(crate) use client::{HistoryClient, HistoryFailure, Stretch};
