//! The price sources, one file each.

mod polygon;
mod replay;
mod simulation;

use async_trait::async_trait;
use feed::TopicWriter;
use model::Bar;

use crate::ProducerError;
use crate::pace::Pace;

pub use polygon::{PolygonConfig, bars as bars_of_frame};
pub(crate) use polygon::{Pulse, at_most, minute_bar, run as run_polygon, whole_millis};
pub(crate) use replay::Replay;
pub(crate) use simulation::Simulation;

/// Why a source brings nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is finite, and everything of it has been written.
    Finished,
    /// An end was wished.
    Stopped,
}

/// Where prices come from.
#[async_trait]
pub(crate) trait Source: Send {
    /// What it is, in words a person reads.
    fn name(&self) -> String;

    /// Whether it is no real market.
    fn is_simulated(&self) -> bool {
        false
    }

    /// Brings its bars and their heartbeats to the topic writer, in order and at
    /// the given pace, until it ends or an end is wished.
    async fn play(
        self: Box<Self>,
        writer: &mut TopicWriter<Bar>,
        pace: &mut Pace,
    ) -> Result<End, ProducerError>;
}
