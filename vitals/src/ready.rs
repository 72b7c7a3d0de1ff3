//! Whether the process is ready: every service works, stands by or is done, and
//! what they need answers just now.

use std::time::Duration;

use crate::{State, Vitals, locked};

/// How long the log and the store may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

impl Vitals {
    /// A line a service, and whether all is well.
    pub(crate) async fn ready(&self) -> Result<String, String> {
        let (services, mut well) = self.services();
        let mut lines = services;
        for trouble in self.troubles().await {
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

    /// What does not answer, with the reason.
    async fn troubles(&self) -> Vec<String> {
        let needs = self.needs();
        let log = async {
            match &needs.log {
                Some(log) => {
                    in_time("the log", async { log.health().await.map_err(|e| e.to_string()) }).await
                }
                None => None,
            }
        };
        let store = async {
            match &needs.store {
                Some(store) => {
                    let asked = async { store.measurements().await.map(drop).map_err(|e| e.to_string()) };
                    in_time("the store", asked).await
                }
                None => None,
            }
        };
        let (log, store) = tokio::join!(log, store);
        log.into_iter().chain(store).collect()
    }
}

async fn in_time(what: &str, asked: impl Future<Output = Result<(), String>>) -> Option<String> {
    match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        Err(_) => Some(format!("{what} does not answer within {} s", ANSWERS_WITHIN.as_secs())),
    }
}
