//! What is older than the settings keep is deleted, once an hour.

use std::sync::Arc;
use std::time::Duration;

use log::EmbeddedLog;
use model::AssetClass;
use model::time::{self, Millis};
use store::{EmbeddedStore, Query, Store};

use super::is_replay;
use crate::config::{Config, Sources};

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(3_600);

/// How the times of stored bars relate to the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bars of the market: none is later than the wall clock.
    Live,
    /// A simulation's time may run ahead of the wall clock, and no source from
    /// outside has a part in it.
    Simulated,
    /// A file is finite, and its results are computed from its bars: they stay.
    Replay,
}

impl Kind {
    pub fn of(sources: &Sources) -> Kind {
        match sources.are_live() {
            true => Kind::Live,
            false if is_replay(sources) => Kind::Replay,
            false => Kind::Simulated,
        }
    }
}

/// Deletes what is past its retention, until it is dropped.
pub async fn keep(
    log: Arc<EmbeddedLog>,
    store: Option<Arc<EmbeddedStore>>,
    classes: Vec<AssetClass>,
    config: Config,
    kind: Kind,
) {
    if let (Some(store), Kind::Live) = (&store, kind) {
        for class in &classes {
            if let Err(error) = store.trimmed_at_most(&class.raw_table(), time::now()).await {
                tracing::warn!("What retention has deleted could not be looked up: {error}");
            }
        }
    }
    loop {
        tokio::time::sleep(EVERY).await;
        let trimmed = async {
            let records = log.trim(time::now() - config.keep_log).await?;
            let mut bars = 0;
            if let Some(store) = &store {
                for class in &classes {
                    let table = class.raw_table();
                    bars += forget_bars(store, &table, config.keep_bars, kind, time::now()).await?;
                }
            }
            anyhow::Ok((records, bars))
        };
        match trimmed.await {
            Ok((0, 0)) => {}
            Ok((records, bars)) => tracing::info!(records, bars, "Deleted what is past its retention."),
            Err(error) => tracing::warn!("Retention could not be applied, and will be in an hour: {error:#}"),
        }
    }
}

/// Deletes bars that are more than `keep` older than the newest. Of live bars those
/// of the future do not count: one wrong time would delete everything else. A wall
/// clock that is ahead deletes nothing, because the newest bar counts then.
async fn forget_bars(
    store: &EmbeddedStore,
    bars: &str,
    keep: Millis,
    kind: Kind,
    now: Millis,
) -> anyhow::Result<u64> {
    let newest = match kind {
        Kind::Replay => return Ok(0),
        Kind::Simulated => newest(store, bars, None).await?,
        Kind::Live => newest(store, bars, Some(now)).await?,
    };
    match newest {
        Some(newest) => Ok(store.trim(bars, newest.saturating_sub(keep)).await?),
        None => Ok(0),
    }
}

/// The start of the newest bar of any symbol, no later than `until`.
async fn newest(store: &EmbeddedStore, bars: &str, until: Option<Millis>) -> anyhow::Result<Option<Millis>> {
    let latest = store.latest(bars).await?;
    let place = |name: &str| latest.columns.iter().position(|column| column.name == name);
    let (Some(symbol), Some(start)) = (place("symbol"), place("start_timestamp")) else { return Ok(None) };
    let mut newest = None;
    for row in &latest.rows {
        let found = row[start].as_i64();
        let Some(until) = until.filter(|until| found.is_some_and(|found| found > *until)) else {
            newest = newest.max(found);
            continue;
        };
        let query = Query {
            measurement: bars.to_owned(),
            tags: vec![("symbol".to_owned(), row[symbol].as_str().unwrap_or_default().to_owned())],
            to: Some(until),
            newest_first: true,
            limit: Some(1),
            ..Query::default()
        };
        newest = newest.max(store.read(&query).await?.rows.first().and_then(|row| row[start].as_i64()));
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use model::time::{DAY, MINUTE};
    use model::{Bar, Source, heartbeat};
    use store::{Batch, Measurement, Point};

    use super::*;
    use model::topic::STOCK_PRICES;

    const NOW: Millis = 1_790_000_000_000;
    const KEEP: Millis = 90 * DAY;
    /// In the year 2199.
    const FAR: Millis = 7_250_000_000_000;

    async fn with_bars(folder: &tempfile::TempDir, bars: &[(&str, Millis)]) -> EmbeddedStore {
        let store = EmbeddedStore::open(&folder.path().join("store.db")).unwrap();
        let measurement = Arc::new(Measurement::bars());
        store.define(&measurement).await.unwrap();
        let bar = |(symbol, start): &(&str, Millis)| {
            let times = (*start, start + MINUTE);
            Point::bar(&Bar {
                symbol: (*symbol).into(),
                source: Source::Polygon,
                start_timestamp: times.0,
                end_timestamp: times.1,
                ..heartbeat::bar(0, 0)
            })
        };
        let points = bars.iter().map(bar).collect();
        store.write(Batch { points: vec![(measurement, points)], notes: vec![] }.into()).await.unwrap();
        store
    }

    async fn forgotten(bars: &[(&str, Millis)], kind: Kind, now: Millis) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let store = with_bars(&folder, bars).await;
        forget_bars(&store, &STOCK_PRICES.measurement(), KEEP, kind, now).await.unwrap()
    }

    #[tokio::test]
    async fn bars_of_the_future_delete_no_bar_of_the_market() {
        let bars = [("A", NOW - 91 * DAY), ("A", NOW - DAY), ("A", FAR), ("FUT", FAR)];
        assert_eq!(forgotten(&bars, Kind::Live, NOW).await, 0, "the newest is a day old");
        let more = [("A", NOW - 91 * DAY), ("B", NOW - MINUTE), ("FUT", FAR)];
        assert_eq!(forgotten(&more, Kind::Live, NOW).await, 1);
        assert_eq!(forgotten(&[("FUT", FAR)], Kind::Live, NOW).await, 0);
    }

    #[tokio::test]
    async fn a_wall_clock_that_is_ahead_deletes_no_bar() {
        let bars = [("A", NOW - 80 * DAY), ("A", NOW)];
        assert_eq!(forgotten(&bars, Kind::Live, FAR).await, 0);
    }

    #[tokio::test]
    async fn simulated_bars_are_as_old_as_the_newest_and_those_of_a_file_stay() {
        let bars = [("A", NOW), ("A", NOW + 100 * DAY)];
        assert_eq!(forgotten(&bars, Kind::Simulated, NOW).await, 1);
        assert_eq!(forgotten(&bars, Kind::Replay, NOW).await, 0);
    }

    #[tokio::test]
    async fn a_folder_that_says_it_was_trimmed_beyond_now_is_corrected() {
        let folder = tempfile::tempdir().unwrap();
        let store = with_bars(&folder, &[("A", NOW)]).await;
        let bars = STOCK_PRICES.measurement();
        store.trim(&bars, FAR).await.unwrap();
        store.trimmed_at_most(&bars, NOW).await.unwrap();
        assert_eq!(store.trimmed_before(&bars).await.unwrap(), Some(NOW));
        store.trimmed_at_most(&bars, NOW + DAY).await.unwrap();
        assert_eq!(store.trimmed_before(&bars).await.unwrap(), Some(NOW), "it never rises");
    }
}
