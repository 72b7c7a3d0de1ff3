//! The token of the store, which may change under a service that works: in a file
//! that somebody corrects, or for which `tickwire init` makes another one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use outbound::Secret;

use crate::config::{self, Config};

/// How often it is looked at.
const LOOKS: Duration = Duration::from_secs(5);

/// The token that a service works with, and where the settings say what it is.
pub struct AnotherToken {
    known: Option<Secret>,
    settings: Option<PathBuf>,
}

impl AnotherToken {
    /// Another one than that of `config`, which was read from `settings`.
    pub fn than(config: &Config, settings: Option<&Path>) -> AnotherToken {
        AnotherToken { known: config.influxdb.token.clone(), settings: settings.map(Path::to_owned) }
    }

    /// Waits until there is another one. What cannot be read just now, as a file
    /// that is being written, is no other token.
    pub async fn comes(&self) {
        loop {
            tokio::time::sleep(LOOKS).await;
            let now = config::load(self.settings.as_deref()).ok().and_then(|config| config.influxdb.token);
            if now.is_some() && now != self.known {
                return;
            }
        }
    }
}
