//! `tickwire recompute`: the results of a span of time, computed again from what is stored.

use super::span;
use crate::cli::RecomputeArgs;
use crate::config::Config;
use crate::owner::Way;
use crate::run::Run;

/// Computes again every job's rows whose points lie in the span.
pub async fn run(config: &Config, args: RecomputeArgs) -> anyhow::Result<()> {
    let (from, to) = (span::time_of("--from", &args.from)?, span::time_of("--to", &args.to)?);
    let (from, to) = span::checked(from, to)?;
    let way = Way::to(Run::find(config, &args.data)?).await?;
    let rows = way.recompute(from, to).await?;
    say!("{rows} rows computed again.")?;
    Ok(())
}
