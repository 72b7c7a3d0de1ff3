//! `tickwire topics`: what the log holds.

use std::io::Write;

use serde_json::json;
use wire::log::Log;

use crate::cli::DataArgs;
use crate::config::Config;
use crate::data_folder::DataFolder;

/// Prints one JSON line a topic.
pub async fn run(config: &Config, args: DataArgs) -> anyhow::Result<()> {
    let root = args.data_dir.as_deref().unwrap_or(&config.data_dir);
    let log = DataFolder::find(root, args.data.as_deref())?.log_to_read()?;
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
