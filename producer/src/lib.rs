//! Price sources to the topics of bars, one for each asset class.
//!
//! A source derives where it stands from the tail of the topic itself: it goes
//! through its bars again and the topic writer leaves out what each partition
//! already holds. A replay or a simulation is a file that implements
//! `pace::PacedSource`; a live feed is a folder, whose feed the driver in
//! [`feed::price`](::feed::price) runs, and a line of `registry.rs`.

mod error;
mod pace;
mod polygon;
mod registry;
mod replay;
mod simulation;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use ::feed::{SharedClock, SteadyClock, TopicWriter};
use chrono::NaiveDate;
use control::shutdown::ShutdownToken;
use log::SharedLog;
use model::service::RunState;

use pace::{End, Pace, PacedSource};
use replay::Replay;
use simulation::Simulation;

pub use ::feed::price::{BackfillProgress, Backfilled, FeedDescription, FeedSettings};
pub use error::ProducerError;
pub use pace::{BadSpeed, Speed};
pub use polygon::bars as bars_of_frame;
pub use registry::{FEEDS, FeedKind, feed, feed_of_letter};

/// Where prices come from.
#[derive(Clone, Debug, PartialEq)]
pub enum PriceSource {
    /// A file of bars, played back; it ends with heartbeats for 24 hours beyond its last bar.
    Replay {
        /// CSV, JSON lines or Parquet.
        file: PathBuf,
        /// How fast event time passes.
        speed: Speed,
    },
    /// The simulated market; it never ends.
    Simulate {
        /// The market's seed.
        seed: u64,
        /// How fast event time passes after what an empty topic begins with.
        speed: Speed,
        /// The date in New York: an empty topic first gets the last two sessions
        /// before it, and the hours up to the next opening bell.
        today: NaiveDate,
    },
    /// A live feed, of what the watchlist in the log names; it never ends.
    Live {
        /// Which.
        feed: &'static dyn FeedKind,
        /// How it is asked.
        settings: FeedSettings,
    },
}

/// Brings prices to the topic of their class until the source has ended or an end is
/// wished; either wish ends it at once, with everything appended accounted for.
///
/// # Errors
/// When the log fails, the file cannot be read, or the log holds the records of another source.
pub async fn run(log: SharedLog, source: PriceSource, stop: ShutdownToken) -> Result<(), ProducerError> {
    run_by(Arc::new(SteadyClock::new()), log, source, stop).await
}

async fn run_by(
    clock: SharedClock,
    log: SharedLog,
    source: PriceSource,
    stop: ShutdownToken,
) -> Result<(), ProducerError> {
    let (speed, mut source): (Speed, Box<dyn PacedSource>) = match source {
        PriceSource::Replay { file, speed } => (speed, Box::new(Replay::new(file))),
        PriceSource::Simulate { seed, speed, today } => (speed, Box::new(Simulation::new(seed, today))),
        PriceSource::Live { feed, settings } => return feed.run(log, settings, stop).await,
    };
    let topic = source.class().await.raw_topic();
    let mut writer = TopicWriter::open(log, topic, source.name(), source.is_simulated()).await?;
    let mut pace = Pace::new(clock, speed, stop);
    match source.play(&mut writer, &mut pace).await? {
        End::Finished => writer.say(RunState::Finished).await?,
        End::Stopped => writer.say(RunState::Stopped).await?,
    }
    Ok(())
}
