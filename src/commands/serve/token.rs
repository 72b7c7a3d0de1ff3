//! Tokens and keys, which may change under a service that works: in a file that
//! somebody corrects, or because `tickwire init` makes another token of the store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use net::Secret;

use crate::config::{self, Config};

/// How often they are looked at.
const LOOKS: Duration = Duration::from_secs(5);

/// What a service works with, and where the settings say what it is.
pub struct AnotherToken {
    known: Vec<Option<Secret>>,
    settings: Option<PathBuf>,
}

impl AnotherToken {
    /// Others than those of `config`, which was read from `settings`.
    pub fn than(config: &Config, settings: Option<&Path>) -> AnotherToken {
        AnotherToken { known: secrets(config), settings: settings.map(Path::to_owned) }
    }

    /// Waits until one of them is another. What cannot be read just now, as a file
    /// that is being written, is no other.
    pub async fn comes(&self) {
        loop {
            tokio::time::sleep(LOOKS).await;
            let Ok(config) = config::load(self.settings.as_deref()) else { continue };
            let mut both = secrets(&config).into_iter().zip(&self.known);
            if both.any(|(now, known)| now.is_some() && now != *known) {
                return;
            }
        }
    }
}

/// The token of the store, and the keys of the sources.
fn secrets(config: &Config) -> Vec<Option<Secret>> {
    let feeds = config.feeds.iter().map(|(_, settings)| Some(settings.api_key.clone()));
    let feeds = feeds.map(|key| key.filter(|key| !key.is_empty()));
    feeds.chain([config.influxdb.token.clone(), config.guardian.api_key.clone()]).collect()
}
