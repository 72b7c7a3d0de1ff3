//! `tickwire topics`: what the log holds.

use std::io::Write;

use serde_json::json;

use crate::cli::DataArgs;
use crate::config::Config;
use crate::run::Run;

/// Prints one JSON line a topic.
pub async fn run(config: &Config, args: DataArgs) -> anyhow::Result<()> {
    let log = Run::find(config, &args)?.log_to_read()?;
    let mut out = std::io::stdout().lock();
    for topic in log.topics().await? {
        let partitions: Vec<_> = log
            .extents(&topic)
            .await?
            .iter()
            .map(|extent| json!({"partition": extent.partition, "first": extent.first, "next": extent.next}))
            .collect();
        let line =
            json!({"topic": topic.name(), "compacted": topic.is_compacted(), "partitions": partitions});
        writeln!(out, "{line}")?;
    }
    Ok(())
}
