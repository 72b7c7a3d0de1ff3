//! `tickwire aggregate`: days, weeks and months of stored bars, written again.

use std::sync::Arc;

use anyhow::{Context, bail};
use store::SharedStore;
use wire::time;

use crate::cli::AggregateArgs;
use crate::config::Config;
use crate::data_folder::DataFolder;

/// Writes them, while no `up` runs on the data.
pub async fn run(config: &Config, args: AggregateArgs) -> anyhow::Result<()> {
    let (from, to) = (time::parse(&args.from).context("--from")?, time::parse(&args.to).context("--to")?);
    if from >= to {
        bail!("--from must come before --to, the first moment that is left out");
    }
    let root = args.data.data_dir.as_deref().unwrap_or(&config.data_dir);
    let mut folder = DataFolder::find(root, args.data.data.as_deref())?;
    if !folder.own_if_free()? {
        bail!(
            "a tickwire runs on the run `{}` and writes days by itself after each close: stop it to write them on demand",
            folder.run
        );
    }
    let store: SharedStore = Arc::clone(&folder.store()?) as SharedStore;
    let written = sink::aggregate(&store, from, to).await?;
    println!("{written} rows written: `tickwire export bars_daily`, bars_weekly and bars_monthly show them.");
    Ok(())
}
