//! Price sources to the `stock-prices` topic.
//!
//! A source derives where it stands from the tail of the topic itself: it goes
//! through its bars again and the topic writer leaves out what each partition
//! already holds. A replay or a simulation is a file that implements
//! `pace::PacedSource`; a live feed is a folder, whose feed the driver in
//! [`feed::price`] runs. Each is a variant of [`PriceSource`].

mod error;
mod pace;
mod polygon;
mod replay;
mod simulation;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::NaiveDate;
use control::shutdown::ShutdownToken;
use feed::{SharedClock, SteadyClock, SystemClock, TopicWriter};
use log::SharedLog;
use model::service::RunState;

use feed::price::Pulse;
use model::time::Millis;
use pace::{End, Pace, PacedSource};
use polygon::PolygonFeed;
use replay::Replay;
use simulation::Simulation;

pub use error::ProducerError;
pub use feed::price::{BackfillProgress, Backfilled};
pub use pace::{BadSpeed, Speed};
pub use polygon::{PolygonConfig, bars as bars_of_frame, bars_of_letter};

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
    /// Polygon's live feed, of what the watchlist in the log names; it never ends.
    Polygon(PolygonConfig),
}

/// Brings prices to `stock-prices` until the source has ended or an end is
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
    let (speed, source): (Speed, Box<dyn PacedSource>) = match source {
        PriceSource::Replay { file, speed } => (speed, Box::new(Replay::new(file))),
        PriceSource::Simulate { seed, speed, today } => (speed, Box::new(Simulation::new(seed, today))),
        PriceSource::Polygon(config) => {
            let watchlist = control::watchlist::follow(log.clone()).await?;
            let feed = PolygonFeed::new(config)?;
            let clock = Arc::new(SystemClock);
            return Ok(feed::price::run(log, feed, watchlist, clock, Pulse::default(), stop).await?);
        }
    };
    let mut writer = TopicWriter::open(log, source.name(), source.is_simulated()).await?;
    let mut pace = Pace::new(clock, speed, stop);
    match source.play(&mut writer, &mut pace).await? {
        End::Finished => writer.say(RunState::Finished).await?,
        End::Stopped => writer.say(RunState::Stopped).await?,
    }
    Ok(())
}

/// Brings the minute bars of `symbols` whose starts lie in `from..to` into `log`; see
/// [`feed::price::backfill`].
///
/// # Errors
/// When the log fails, or the history refuses or does not answer in the end.
pub async fn backfill(
    log: SharedLog,
    config: PolygonConfig,
    symbols: &[String],
    from: Millis,
    to: Millis,
    progress: impl FnMut(BackfillProgress<'_>) + Send,
) -> Result<Backfilled, ProducerError> {
    let feed = PolygonFeed::new(config)?;
    Ok(feed::price::backfill(Arc::new(SystemClock), log, feed, symbols, from, to, progress).await?)
}
