//! Which service a process of a distributed pipeline runs.

use control::stop::Wish;

use crate::commands::services;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Producer,
    NewsWatcher,
    Engine,
    Sink,
    Alerts,
    Web,
}

impl Role {
    /// Its name, that of its command too.
    pub fn name(self) -> &'static str {
        match self {
            Role::Producer => services::PRODUCER,
            Role::NewsWatcher => services::NEWS_WATCHER,
            Role::Engine => services::ENGINE,
            Role::Sink => services::SINK,
            Role::Alerts => services::ALERTS,
            Role::Web => services::WEB,
        }
    }

    /// What it is asked when it is to end: sources stop, the others finish what the log holds.
    pub fn farewell(self) -> Wish {
        match self {
            Role::Producer | Role::NewsWatcher | Role::Web => Wish::Stop,
            Role::Engine | Role::Sink | Role::Alerts => Wish::Drain,
        }
    }

    /// Whether two of them would get in each other's way; the page only looks.
    pub fn is_one_of_a_kind(self) -> bool {
        self != Role::Web
    }
}
