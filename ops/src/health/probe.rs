//! Whether what the services need answers, and what the log holds for them: asked at
//! most once in some seconds, however many ask, and never for long.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use log::SharedLog;
use model::Topic;
use store::SharedStore;
use tokio::sync::Mutex;

use crate::health::lag::{self, Extents, Places};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(2);
/// How long the log and the store may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// What must answer for the process to be ready.
#[derive(Clone, Default)]
pub(crate) struct Needs {
    pub(crate) log: Option<SharedLog>,
    pub(crate) store: Option<SharedStore>,
}

/// What was found.
#[derive(Clone, Default)]
pub(crate) struct Found {
    /// Of each that is needed, its name and the reason where it does not answer.
    pub(crate) needs: Vec<(&'static str, Option<String>)>,
    /// What the log holds of the topics that are read.
    pub(crate) extents: Extents,
    /// The topics that were asked about, and which of log and store were needed.
    asked: (BTreeSet<Topic>, [bool; 2]),
}

/// The last answer.
#[derive(Default)]
pub(crate) struct Probe(Mutex<Option<(Instant, Found)>>);

impl Probe {
    /// What is found now, or was some seconds ago. One asks at a time.
    pub(crate) async fn look(&self, needs: Needs, topics: BTreeSet<Topic>, places: &Places) -> Found {
        let mut last = self.0.lock().await;
        let asked = (topics, [needs.log.is_some(), needs.store.is_some()]);
        if let Some((at, found)) = &*last
            && at.elapsed() < FRESH
            && found.asked == asked
        {
            return found.clone();
        }
        let found = ask(needs, asked, places).await;
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

async fn ask(needs: Needs, asked: (BTreeSet<Topic>, [bool; 2]), places: &Places) -> Found {
    let log = async {
        let Some(log) = &needs.log else { return (None, Extents::new()) };
        let answer = in_time("the log", async { log.health().await.map_err(|e| e.to_string()) }).await;
        if answer.is_some() {
            return (Some(("log", answer)), Extents::new());
        }
        let held = tokio::time::timeout(ANSWERS_WITHIN, lag::extents(log, &asked.0, places)).await;
        // A topic that cannot be asked about has no lag that is known.
        (Some(("log", None)), held.ok().and_then(Result::ok).unwrap_or_default())
    };
    let store = async {
        let store = needs.store.as_ref()?;
        let answer = in_time("the store", async { store.health().await.map_err(|e| e.to_string()) }).await;
        Some(("store", answer))
    };
    let ((log, extents), store) = tokio::join!(log, store);
    Found { needs: log.into_iter().chain(store).collect(), extents, asked }
}

async fn in_time(what: &str, asked: impl Future<Output = Result<(), String>>) -> Option<String> {
    match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        Err(_) => Some(format!("{what} does not answer within {} s", ANSWERS_WITHIN.as_secs())),
    }
}
