//! A word about rows that were refused, once a replay is over.

use wire::log::Log;
use wire::status::ServiceStatus;

/// Says in the log how many events of `service` went to the dead letters, and
/// when nothing at all was taken.
pub async fn tell(log: &dyn Log, service: &str, taken: &str) -> anyhow::Result<()> {
    let Some(said) = ServiceStatus::last(log, service).await? else { return Ok(()) };
    let count = |name: &str| said.counts.get(name).copied().unwrap_or(0);
    let (taken_count, rejected) = (count(taken), count("rejected"));
    if rejected > 0 {
        tracing::warn!(
            service,
            taken = taken_count,
            rejected,
            "Rows were refused: `tickwire dead-letters list` says which and why."
        );
    }
    if taken_count == 0 {
        tracing::warn!(service, "The file held nothing that could be taken.");
    }
    Ok(())
}
