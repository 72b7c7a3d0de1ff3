//! Headlines from the Guardian's Content API: one scheduler for all search
//! terms of the watchlist, within the quota of the key.
//!
//! Every term is asked for what was modified since its last answer, with an
//! overlap, so that edits are seen and nothing of one second is lost. Articles
//! are told by their identity; their event time is the publication as first
//! seen. What each term has been answered stands in the service's status, from
//! which a restart goes on.

mod answer;
mod api;
mod letter;
mod plain;
mod preview;
mod search;
#[cfg(test)]
mod tests;
mod walk;
mod watch;
mod words;

use std::sync::Arc;
use std::time::Duration;

use control::shutdown::ShutdownToken;
use feed::SystemClock;
use log::SharedLog;
use net::Secret;

use crate::NewsError;
use watch::Watch;

pub use letter::articles_of_letter;

/// Where the Content API is.
pub const GUARDIAN_URL: &str = "https://content.guardianapis.com";

/// Sections that many want, by the name that a person reads; an entry of the
/// watchlist or the setting `guardian.sections` takes their identities.
pub const SECTION_PRESETS: &[(&str, &[&str])] =
    &[("US news", &["us-news"]), ("Business", &["business"]), ("Technology", &["technology"])];

/// How the Guardian is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardianConfig {
    /// The address of the API.
    pub url: String,
    /// The key to it.
    pub api_key: Secret,
    /// Calls that the key allows in 24 hours.
    pub calls_per_day: u32,
    /// Calls that the key allows in a second.
    pub calls_per_second: u32,
    /// How long event time waits for a term that is not answered.
    pub max_wait: Duration,
    /// The sections of entries that name none; none is all.
    pub sections: Vec<String>,
    /// How long a call may take.
    pub timeout: Duration,
}

impl GuardianConfig {
    /// The quota of a developer key, and all sections.
    pub fn new(api_key: Secret) -> GuardianConfig {
        GuardianConfig {
            url: GUARDIAN_URL.into(),
            api_key,
            calls_per_day: 500,
            calls_per_second: 1,
            max_wait: Duration::from_secs(60 * 60),
            sections: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// Brings the headlines that the watchlist asks for to `news-articles`, by the
/// wall clock, until an end is wished; either wish ends it at once.
pub(crate) async fn run(
    log: SharedLog,
    config: GuardianConfig,
    stop: ShutdownToken,
) -> Result<(), NewsError> {
    let watchlist = control::watchlist::follow(log.clone()).await?;
    Watch::open(log, config, watchlist, Arc::new(SystemClock), net::retry::draw).await?.run(&stop).await
}
