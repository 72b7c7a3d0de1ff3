//! `tickwire backfill`: history of minute bars, brought into the log of the live run.

use anyhow::{Context, bail};
use control::watchlist::{self, EVERY_SYMBOL};
use model::service::Service;
use model::time;
use producer::BackfillProgress;

use super::progress;
use super::span;
use crate::cli::{BackfillArgs, DataArgs};
use crate::config::Config;
use crate::owner::Way;
use crate::run::Run;

/// Brings the bars, stretch by stretch; after an interruption the same command goes on.
pub async fn run(config: &Config, args: BackfillArgs) -> anyhow::Result<()> {
    let (feed, settings) = config.live_feed()?;
    let (from, to) = (span::time_of("--from", &args.from)?, span::time_of("--to", &args.to)?);
    // What is still to come is left out.
    let (from, to) = span::checked(from, to.min(time::now()))?;
    for symbol in &args.symbols {
        model::symbol::check(symbol).context("--symbol")?;
    }
    let live = DataArgs { data_dir: args.data_dir, data: None };
    let Way::Direct { log, run } = Way::to(Run::live(config, &live)?).await? else {
        bail!(
            "a tickwire runs on the live data: stop it, bring the history in, and start it again; the hole in between it fills by itself"
        );
    };
    let alone = run.alone(&log, Service::Producer.name()).await?;
    let symbols = match args.symbols.is_empty() {
        false => args.symbols,
        true => listed(&watchlist::read(&*log).await?)?,
    };
    let bar = progress::bar("Bringing history", Some(0));
    let mut progress = |come: BackfillProgress<'_>| {
        bar.set_length(come.of as u64);
        bar.set_position(come.done as u64);
        bar.set_message(format!("{} ({} bars)", come.symbol, come.bars));
    };
    let outcome = feed.backfill(alone.log(), settings, &symbols, (from, to), &mut progress).await;
    bar.finish_and_clear();
    let brought = outcome.context("what came before is kept: the same command goes on from there")?;
    say!(
        "{} bars of {} symbol(s); {} part(s) were there already.",
        brought.bars,
        symbols.len(),
        brought.skipped
    )?;
    if !brought.without_bars.is_empty() {
        say!(
            "There were none of {}: is that how they are written there, and were they traded then?",
            brought.without_bars.join(", ")
        )?;
    }
    if brought.rejected > 0 {
        say!("{} did not validate: `tickwire dead-letters list --data live` shows them.", brought.rejected)?;
    }
    say!("The next `tickwire up` stores them and computes their windows.")?;
    Ok(())
}

fn listed(list: &watchlist::Watchlist) -> anyhow::Result<Vec<String>> {
    let symbols: Vec<_> =
        list.symbols().into_iter().filter(|&symbol| symbol != EVERY_SYMBOL).map(str::to_owned).collect();
    if symbols.is_empty() {
        bail!("the watchlist names no symbols one by one: name some with --symbol");
    }
    Ok(symbols)
}
