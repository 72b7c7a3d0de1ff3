//! The services of the pipeline and what each of them does just now.

use serde::{Deserialize, Serialize};

/// A service, by the name under which it reports its status, takes its lease and counts
/// its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Writes the raw topic of prices.
    Producer,
    /// Writes the raw topic of news.
    NewsWatcher,
    /// Runs the SQL jobs; on a cluster, the watch over its jobs reports for it.
    Engine,
    /// Applies the alert rules.
    Alerts,
    /// Posts alerts to a webhook.
    Webhook,
    /// Writes records of the log to the store.
    Sink,
    /// Serves the pages and the API.
    Web,
    /// Deploys jobs on a cluster and watches over them.
    Deployer,
}

impl Service {
    /// All of them, in the order of the data flow.
    pub const ALL: [Service; 8] = [
        Service::Producer,
        Service::NewsWatcher,
        Service::Engine,
        Service::Alerts,
        Service::Sink,
        Service::Webhook,
        Service::Web,
        Service::Deployer,
    ];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Producer => "producer",
            Service::NewsWatcher => "news-watcher",
            Service::Engine => "engine",
            Service::Alerts => "alerts",
            Service::Webhook => "alerts-webhook",
            Service::Sink => "sink",
            Service::Web => "web",
            Service::Deployer => "deployer",
        }
    }

    /// The service of that name, if there is one.
    pub fn of(name: &str) -> Option<Service> {
        Service::ALL.into_iter().find(|service| service.name() == name)
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(self.name())
    }
}

impl From<Service> for String {
    fn from(service: Service) -> String {
        service.name().to_owned()
    }
}

/// What a service does, for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It connects, or prepares its work; the state of a status that says nothing else.
    #[default]
    Starting,
    /// It works.
    Running,
    /// It waits for a server that does not answer, and tries again by itself.
    Waiting,
    /// A server refuses what it wants to do: an operator has to correct something first.
    Holding,
    /// A replay is over and everything of it is done.
    Finished,
    /// It was asked to end.
    Stopped,
    /// It ended with an error.
    Failed,
}

impl RunState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            RunState::Starting => "starting",
            RunState::Running => "running",
            RunState::Waiting => "waiting",
            RunState::Holding => "holding",
            RunState::Finished => "finished",
            RunState::Stopped => "stopped",
            RunState::Failed => "failed",
        }
    }

    /// Whether the service does its work: it runs, or has finished a replay.
    pub fn is_at_work(self) -> bool {
        matches!(self, RunState::Running | RunState::Finished)
    }

    /// Whether something keeps it from its work.
    pub fn is_in_trouble(self) -> bool {
        matches!(self, RunState::Waiting | RunState::Holding | RunState::Failed)
    }

    /// Whether the service has ended.
    pub fn has_ended(self) -> bool {
        matches!(self, RunState::Finished | RunState::Stopped | RunState::Failed)
    }

    /// The state that a text of before 0.2 begins with; such a status has the text alone.
    fn of_text(text: &str) -> RunState {
        let states = [
            RunState::Running,
            RunState::Waiting,
            RunState::Holding,
            RunState::Finished,
            RunState::Stopped,
            RunState::Failed,
        ];
        states.into_iter().find(|state| text.starts_with(state.word())).unwrap_or_default()
    }
}

/// A [`RunState`] with the same in words for people. In JSON it is two fields of the
/// status: `state`, the words, and `run_state`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Activity {
    #[serde(rename = "state")]
    text: String,
    run_state: RunState,
}

/// As it is read: statuses of before 0.2 lack `run_state`.
#[derive(Deserialize)]
struct Written {
    state: String,
    #[serde(default)]
    run_state: Option<RunState>,
}

impl From<Written> for Activity {
    fn from(Written { state, run_state }: Written) -> Activity {
        match run_state {
            Some(run_state) => Activity { text: state, run_state },
            None => Activity::of_text(state),
        }
    }
}

impl Activity {
    /// A state in other words than its own.
    pub fn new(run_state: RunState, text: impl Into<String>) -> Activity {
        Activity { text: text.into(), run_state }
    }

    /// The activity that a text alone tells, by its first word: all that a status of
    /// before 0.2 has.
    pub fn of_text(text: impl Into<String>) -> Activity {
        let text = text.into();
        Activity { run_state: RunState::of_text(&text), text }
    }

    /// The state, for programs.
    pub fn run(&self) -> RunState {
        self.run_state
    }

    /// The state in words, for people.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<RunState> for Activity {
    fn from(state: RunState) -> Activity {
        Activity::new(state, state.word())
    }
}

impl std::fmt::Display for Activity {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_found_by_its_name() {
        for service in Service::ALL {
            assert_eq!(Service::of(service.name()), Some(service));
        }
        assert_eq!(Service::of("somebody"), None);
    }

    #[test]
    fn a_state_is_written_for_programs_and_for_people() {
        let state = Activity::new(RunState::Waiting, "waiting for the feed: refused");
        let json = serde_json::to_value(&state).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"state": "waiting for the feed: refused", "run_state": "waiting"})
        );
        assert_eq!(serde_json::from_value::<Activity>(json).unwrap(), state);
    }

    #[test]
    fn a_state_of_before_0_2_is_known_by_its_first_word() {
        for (text, expected) in [
            ("running, and filling a hole from history", RunState::Running),
            ("waiting: no answer", RunState::Waiting),
            ("holding: no bucket", RunState::Holding),
            ("finished", RunState::Finished),
            ("stopped", RunState::Stopped),
            ("failed: no room", RunState::Failed),
            ("connecting", RunState::Starting),
            ("", RunState::Starting),
        ] {
            let json = serde_json::json!({"state": text});
            assert_eq!(serde_json::from_value::<Activity>(json).unwrap().run(), expected, "{text}");
        }
    }

    #[test]
    fn a_service_that_waits_or_fails_is_not_at_work() {
        let at_work = |state: &RunState| state.is_at_work();
        use RunState::*;
        assert_eq!(
            [Starting, Running, Waiting, Holding, Finished, Stopped, Failed]
                .iter()
                .filter(|s| at_work(s))
                .count(),
            2
        );
        assert!(Running.is_at_work() && Finished.is_at_work());
        assert!([Waiting, Holding, Failed].iter().all(|state| state.is_in_trouble()));
    }
}
