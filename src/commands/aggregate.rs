//! `tickwire aggregate`: days, weeks and months of stored bars, written again.

use anyhow::bail;
use model::service::Service;

use super::span;
use crate::cli::AggregateArgs;
use crate::config::Config;
use crate::owner::Way;
use crate::run::Run;

/// Writes them, while no `up` runs on the data.
pub async fn run(config: &Config, args: AggregateArgs) -> anyhow::Result<()> {
    let (from, to) = (span::time_of("--from", &args.from)?, span::time_of("--to", &args.to)?);
    let (from, to) = span::checked(from, to)?;
    let Way::Direct { log, run } = Way::to(Run::find(config, &args.data)?).await? else {
        bail!(
            "a tickwire runs on this data and writes days by itself after each close: stop it to write them on demand"
        );
    };
    let _alone = run.alone(&log, Service::Sink.name()).await?;
    let (store, _folder) = run.store_to_write()?;
    let written = sink::aggregate(&store, from, to).await?;
    say!("{written} rows written: `tickwire export bars_daily`, bars_weekly and bars_monthly show them.")?;
    Ok(())
}
