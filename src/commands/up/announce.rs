//! What `up` says when it starts: what is shown, where, and what could be added.

use std::net::SocketAddr;

use control::watchlist;
use log::Log;
use news_watcher::NewsSource;
use producer::PriceSource;

use crate::config::{self, Config, Sources};

/// Prints it to standard error.
pub async fn print(
    address: SocketAddr,
    config: &Config,
    sources: &Sources,
    run: &str,
    log: &dyn Log,
) -> anyhow::Result<()> {
    let what = match &sources.prices {
        PriceSource::Live { settings, .. } if settings.feed_delay.is_zero() => "live prices".into(),
        PriceSource::Live { settings, .. } => {
            format!("live prices, {} minutes late", settings.feed_delay.as_secs().div_ceil(60))
        }
        PriceSource::Replay { .. } => "a replay".into(),
        PriceSource::Simulate { .. } => "a SIMULATED market, no real prices".to_owned(),
    };
    eprintln!("Tickwire shows {what}, at http://{address} (data: {run}). Ctrl-C stops it.");
    if matches!(sources.prices, PriceSource::Simulate { .. }) && !config.has_live_key() {
        eprintln!(
            "It simulates because there is no key: set {} (and GUARDIAN_API_KEY for headlines) to go live; the watchlist has no effect until then.",
            config::live_keys()
        );
    }
    if sources.are_live() {
        if matches!(sources.news, NewsSource::None) && config.guardian.api_key.is_none() {
            eprintln!("No headlines: there is no key for them. Set GUARDIAN_API_KEY.");
        }
        if watchlist::read(log).await?.entries.is_empty() {
            eprintln!(
                "Nothing is watched yet: `tickwire watch add AAPL --term apple` adds a symbol with its news, while this runs."
            );
        }
    }
    Ok(())
}
