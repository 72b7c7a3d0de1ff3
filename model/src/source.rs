//! Where a record came from.

use serde::{Deserialize, Serialize};

/// Where a bar or an article came from; on every record of the raw topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Polygon's (Massive's) live minute aggregates.
    Polygon,
    /// Polygon's REST aggregates: holes filled, history brought in.
    PolygonHistory,
    /// The Guardian's Content API.
    Guardian,
    /// A file played back.
    Replay,
    /// The simulated market: no real prices.
    Simulation,
    /// Our own heartbeats, which carry event time forward.
    Clock,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 6] = [
        Source::Polygon,
        Source::PolygonHistory,
        Source::Guardian,
        Source::Replay,
        Source::Simulation,
        Source::Clock,
    ];

    /// The source of that word, if there is one.
    pub fn named(word: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.as_str() == word)
    }

    /// Whether it tells what really happens, live or from its history.
    pub fn is_live(self) -> bool {
        !matches!(self, Source::Replay | Source::Simulation | Source::Clock)
    }

    /// The word that stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Polygon => "polygon",
            Source::PolygonHistory => "polygon-history",
            Source::Guardian => "guardian",
            Source::Replay => "replay",
            Source::Simulation => "simulation",
            Source::Clock => "clock",
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
