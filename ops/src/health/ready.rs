//! Whether the process is ready, which means that data flows: every service works,
//! stands by or is done, what they need answers, their consumers move, and a live feed
//! brings bars while the market trades.

use std::time::Instant;

use model::service::Service;
use model::status::ServiceStatus;
use model::time::{self, MINUTE, Millis};

use crate::health::{Health, State, locked};

/// A live feed whose event time is so much further behind the clock than planned brings
/// nothing; filling a hole from history takes less.
const OVERDUE: Millis = 15 * MINUTE;
/// Services that wait for servers of others and hold nobody up by it: alarms tell of them.
const OF_OTHERS: [Service; 2] = [Service::NewsWatcher, Service::Webhook];

impl Health {
    /// A line a service, and whether all is well.
    pub(crate) async fn ready(&self) -> Result<String, String> {
        let (services, mut well) = self.services();
        let mut lines = services;
        let found = self.found().await;
        let away = found.needs.iter().filter_map(|(_, reason)| reason.clone());
        let stuck = self.0.readers.stuck(&found.extents, Instant::now(), &OF_OTHERS.map(Service::name));
        for trouble in away.chain(stuck).chain(self.troubles_told(time::now())) {
            well = false;
            lines.push(trouble);
        }
        let text = lines.join("\n") + "\n";
        if well { Ok(format!("ready\n{text}")) } else { Err(format!("not ready\n{text}")) }
    }

    fn services(&self) -> (Vec<String>, bool) {
        let states = locked(&self.0.states);
        let line = |(service, state): (&&'static str, &State)| match state {
            State::Starting => format!("{service}: starting"),
            State::Working => format!("{service}: working"),
            State::StandingBy => format!("{service}: standing by, another instance works"),
            State::Done => format!("{service}: done, its replay is over"),
            State::Failed(reason) => format!("{service}: {reason}"),
        };
        let is_well = |state: &State| matches!(state, State::Working | State::StandingBy | State::Done);
        let well = states.values().all(is_well);
        (states.iter().map(line).collect(), well && !states.is_empty())
    }

    /// What the services of this process say themselves that keeps data from flowing.
    pub(crate) fn troubles_told(&self, now: Millis) -> Vec<String> {
        let said = locked(&self.0.said);
        said.values()
            .filter_map(|status| Some(format!("{}: {}", status.service, trouble(status, now)?)))
            .collect()
    }
}

fn trouble(status: &ServiceStatus, now: Millis) -> Option<String> {
    if OF_OTHERS.iter().any(|other| status.is_of(*other)) {
        return None;
    }
    if !status.is_of(Service::Producer) {
        return status.state.run().is_in_trouble().then(|| status.state.to_string());
    }
    // Of a replay the end of its file is no trouble; a feed is silent while nobody trades.
    let planned = status.planned_lag?;
    if !status.trades_at(now - planned) {
        return None;
    }
    if !status.is_at_work() {
        return Some(status.state.to_string());
    }
    let overdue = now - status.watermark? - planned;
    (overdue > OVERDUE).then(|| format!("event time is {} min later than planned", overdue / MINUTE))
}
