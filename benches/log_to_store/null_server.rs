//! The sink before a server that only counts.

use std::sync::Arc;

use anyhow::ensure;
use control::shutdown::{self, Shutdown};
use log::SharedLog;
use net::Secret;
use store::{InfluxAddress, InfluxStore};

use super::counting_server::CountingServer;
use super::{PLAYED, Place};
use crate::usage::{Spent, Stopwatch};

/// What the sink spends until it has taken what `log` holds: `bars` bars.
pub fn sink(place: &Place, log: SharedLog, bars: usize) -> anyhow::Result<Spent> {
    let server = place.outside.block_on(CountingServer::start())?;
    let store = InfluxStore::new(InfluxAddress {
        url: server.url.parse()?,
        org: "o".into(),
        bucket: "b".into(),
        token: Secret::new("t"),
    })?;
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    let watch = Stopwatch::without(PLAYED)?;
    place.product.block_on(sink::run(log, Arc::new(store), Vec::new(), stop))?;
    let spent = watch.stop()?;
    ensure!(server.lines() == bars, "the server got {} points of {bars}", server.lines());
    Ok(spent)
}
