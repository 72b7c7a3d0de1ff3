//! Which service a process of a distributed pipeline runs.

use control::shutdown::Shutdown;

use model::service::Service;

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
            Role::Producer => Service::Producer.name(),
            Role::NewsWatcher => Service::NewsWatcher.name(),
            Role::Engine => Service::Engine.name(),
            Role::Sink => Service::Sink.name(),
            Role::Alerts => Service::Alerts.name(),
            Role::Web => Service::Web.name(),
        }
    }

    /// What it is asked when it is to end: sources stop, the others finish what the log holds.
    pub fn farewell(self) -> Shutdown {
        match self {
            Role::Producer | Role::NewsWatcher | Role::Web => Shutdown::Stop,
            Role::Engine | Role::Sink | Role::Alerts => Shutdown::Drain,
        }
    }

    /// Whether two of them would get in each other's way; the page only looks.
    pub fn is_one_of_a_kind(self) -> bool {
        self != Role::Web
    }
}
