//! News sources to the `news-articles` topic.
//!
//! Event time is the prices': whenever the topics of bars of all classes in use are complete
//! until a later minute, the articles published before it are written, and then its clock
//! records. A new source is a file that implements
//! `follow::Source`, and a variant of [`NewsSource`]. The live source,
//! `guardian`, goes by the wall clock and its own polls instead.

mod error;
mod follow;
mod guardian;
mod replay;
mod simulation;

use std::path::PathBuf;

use control::shutdown::ShutdownToken;
use feed::TopicWriter;
use log::SharedLog;
use model::AssetClass;
use model::topic::NEWS_ARTICLES;

use follow::{Follower, Silence, Source};
use replay::Replay;
use simulation::Simulation;

pub use error::NewsError;
pub use guardian::{GUARDIAN_URL, GuardianConfig, SECTION_PRESETS, articles_of_letter};

/// Where news comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewsSource {
    /// Nowhere: heartbeats only.
    None,
    /// A file of articles, played back by publication.
    Replay {
        /// CSV, JSON lines or Parquet.
        file: PathBuf,
    },
    /// The news of the simulated market.
    Simulate {
        /// The market's seed.
        seed: u64,
    },
    /// The Guardian's Content API, live.
    Guardian(GuardianConfig),
}

/// Brings news to `news-articles`, following the clock of the prices (live
/// news: the wall clock), until an end is wished. A wish to drain is fulfilled when everything that
/// the prices hold has been followed; once the prices have ended, the rest
/// of a file of news is written out with heartbeats for 24 hours beyond it.
///
/// # Errors
/// When the log fails, or the file cannot be read.
pub async fn run(log: SharedLog, source: NewsSource, stop: ShutdownToken) -> Result<(), NewsError> {
    run_beside(&[AssetClass::Stocks], log, source, stop).await
}

/// [`run`] beside the prices of several classes: news are complete until the least of the
/// times until which the prices of each are.
///
/// # Errors
/// As [`run`].
pub async fn run_beside(
    classes: &[AssetClass],
    log: SharedLog,
    source: NewsSource,
    stop: ShutdownToken,
) -> Result<(), NewsError> {
    let source: Box<dyn Source> = match source {
        NewsSource::None => Box::new(Silence),
        NewsSource::Replay { file } => Box::new(Replay::open(file).await?),
        NewsSource::Simulate { seed } => Box::new(Simulation::new(seed)),
        NewsSource::Guardian(config) => return guardian::run(log, config, stop).await,
    };
    let (name, simulated) = (source.name(), source.is_simulated());
    let writer = TopicWriter::open(log.clone(), NEWS_ARTICLES, name, simulated).await?;
    Follower::new(writer, source, stop).run(&log, classes).await
}
