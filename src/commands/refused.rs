//! A word about rows that were refused, once a replay is over.

use log::Log;
use model::service::Service;

/// Says in the log how many bars went to the dead letters, and when nothing at
/// all was taken.
pub async fn bars(log: &dyn Log) -> anyhow::Result<()> {
    if counted(log, Service::Producer, "bars").await? == Some(0) {
        tracing::warn!(service = %Service::Producer, "The file held nothing that could be taken.");
    }
    Ok(())
}

/// Says in the log how many articles went to the dead letters. There may be no
/// news at all.
pub async fn articles(log: &dyn Log) -> anyhow::Result<()> {
    counted(log, Service::NewsWatcher, "articles").await.map(drop)
}

/// How many events a service has taken; those that it refused are told.
async fn counted(log: &dyn Log, service: Service, events: &str) -> anyhow::Result<Option<u64>> {
    let Some(said) = control::status::last(log, service).await? else { return Ok(None) };
    let count = |name: &str| said.counts.get(name).copied().unwrap_or(0);
    let (taken, rejected) = (count(events), count("rejected"));
    if rejected > 0 {
        tracing::warn!(
            %service,
            taken,
            rejected,
            "Rows were refused: `tickwire dead-letters list` says which and why."
        );
    }
    Ok(Some(taken))
}
