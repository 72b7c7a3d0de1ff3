//! `tickwire recompute`: the results of a span of time, computed again from what is stored.

use anyhow::{Context, bail};
use wire::time;

use crate::cli::RecomputeArgs;
use crate::config::Config;
use crate::owner::Way;
use crate::run::Run;

/// Computes again every job's rows whose points lie in the span.
pub async fn run(config: &Config, args: RecomputeArgs) -> anyhow::Result<()> {
    let from = time::parse(&args.from).context("--from")?;
    let to = time::parse(&args.to).context("--to")?;
    if from >= to {
        bail!(
            "--from is {}, and nothing lies between it and --to, {}: --to is the first moment that is left out",
            time::rfc3339(from),
            time::rfc3339(to)
        );
    }
    let way = Way::to(Run::find(config, &args.data)?).await?;
    let rows = way.recompute(from, to).await?;
    println!("{rows} rows computed again.");
    Ok(())
}
