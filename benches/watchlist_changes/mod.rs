//! Changes of the watchlist in a row, with both live services in this process:
//! what they leave behind, how soon each is applied, and that no bar of a
//! symbol that stays is lost.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use control::shutdown::{ShutdownHandle, channel};
use control::watchlist::{Entry, put, read};
use log::{EmbeddedLog, Log};
use model::Bar;
use model::service::Service;
use model::time::{MINUTE, minute_of, now};
use model::topic::STOCK_PRICES;
use net::Secret;
use news_watcher::{GuardianConfig, NewsSource};
use producer::{FeedSettings, PriceSource};
use tempfile::TempDir;
use testkit::guardian::Guardian;
use testkit::massive::{Feed, History, KEY, MinuteBar, Script};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::figures::{Figure, Goal, memory, percentile, sockets};

/// The symbol that is watched throughout.
const STAYS: &str = "AAPL";
/// Changes before anything is measured: buffers and pools have then got their size.
const WARM_UP: usize = 20;
/// How long anything may take before something must be broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of it.
#[derive(Args, Clone, Debug)]
pub struct Wanted {
    /// Changes in a row.
    #[arg(long, default_value_t = 200)]
    changes: usize,
}

/// What came out.
pub struct Answer {
    before: Usage,
    after: Usage,
    /// From each change until the feed had been asked for the difference.
    applied: Vec<Duration>,
    /// Bars of the symbol that stayed, sent amid the changes and found in the log.
    bars: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    tasks: usize,
    sockets: usize,
    memory: u64,
}

/// Makes the changes.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(change(wanted.changes))
}

async fn change(changes: usize) -> anyhow::Result<Answer> {
    let place = Place::start().await?;
    place.change(0..WARM_UP).await?;
    let before = place.at_rest().await?;
    let applied = place.change(WARM_UP..WARM_UP + changes).await?;
    let after = place.at_rest().await?;
    ensure!(place.feed.opened() == 1, "a change took a new connection");
    let asked = place.feed.actions();
    let again = asked.iter().skip(2).filter(|action| action.params.contains(STAYS)).count();
    ensure!(again == 0, "{STAYS}, which stayed, was asked for again {again} times");
    let bars = place.bars().await?;
    ensure!(bars == WARM_UP + changes, "{bars} bars of {STAYS} instead of {}", WARM_UP + changes);
    Ok(Answer { before, after, applied, bars })
}

/// Both services on one log, and what is outside.
struct Place {
    _folder: TempDir,
    _history: History,
    _guardian: Guardian,
    _stoppers: [ShutdownHandle; 2],
    _services: JoinSet<anyhow::Result<()>>,
    feed: Feed,
    log: Arc<EmbeddedLog>,
}

impl Place {
    async fn start() -> anyhow::Result<Place> {
        let feed = Feed::start(Script::default()).await;
        let (history, guardian) = (History::start(KEY).await, Guardian::start(KEY, now).await);
        let folder = tempfile::tempdir()?;
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1)?);
        put(&*log, 0, list(None), "benchmark").await?;
        let polygon = producer::feed("polygon").context("there is no such feed")?;
        let settings = FeedSettings {
            websocket_url: feed.url(),
            rest_url: history.url(),
            api_key: Secret::new(KEY),
            feed_delay: Duration::ZERO,
            ..polygon.description().settings()
        };
        let news = GuardianConfig {
            url: guardian.url().into(),
            calls_per_day: 1_000_000,
            calls_per_second: 1_000,
            ..GuardianConfig::new(Secret::new(KEY))
        };
        let ((stop_prices, prices_stop), (stop_news, news_stop)) = (channel(), channel());
        let mut services = JoinSet::new();
        let prices = producer::run(log.clone(), PriceSource::Live { feed: polygon, settings }, prices_stop);
        let news = news_watcher::run(log.clone(), NewsSource::Guardian(news), news_stop);
        services.spawn(async { Ok(prices.await?) });
        services.spawn(async { Ok(news.await?) });
        feed.until_pairs(&["AM.AAPL"]).await;
        Ok(Place {
            _folder: folder,
            _history: history,
            _guardian: guardian,
            _stoppers: [stop_prices, stop_news],
            _services: services,
            feed,
            log,
        })
    }

    /// One change after the other, each applied by the feed before the next;
    /// with each, a version of a bar of the symbol that stays.
    async fn change(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<Vec<Duration>> {
        let start = minute_of(now()) - MINUTE;
        let mut applied = Vec::new();
        for number in numbers {
            let version = read(&*self.log).await?.version;
            let begun = Instant::now();
            put(&*self.log, version, list(Some(number)), "benchmark").await?;
            self.feed.bars(&[MinuteBar::new(STAYS, start, 100.0, number as f64)]);
            self.feed.until_pairs(&[&format!("AM.{STAYS}"), &format!("AM.S{number}")]).await;
            applied.push(begun.elapsed());
        }
        let version = read(&*self.log).await?.version;
        put(&*self.log, version, list(None), "benchmark").await?;
        self.feed.until_pairs(&[&format!("AM.{STAYS}")]).await;
        Ok(applied)
    }

    /// What is in use once both services have come to rest with the first list.
    async fn at_rest(&self) -> anyhow::Result<Usage> {
        let begun = Instant::now();
        let mut last = None;
        loop {
            let news = control::status::last(&*self.log, Service::NewsWatcher).await?.unwrap_or_default();
            let usage = Usage {
                tasks: Handle::current().metrics().num_alive_tasks(),
                sockets: sockets()?,
                memory: memory()?,
            };
            let rests = news.entries.len() == 1 && news.entries[0].state == "answered";
            if rests && last == Some((usage.tasks, usage.sockets)) {
                return Ok(usage);
            }
            last = Some((usage.tasks, usage.sockets));
            ensure!(begun.elapsed() < PATIENCE, "the news does not come to rest: {news:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Versions of the bars of the symbol that stays.
    async fn bars(&self) -> anyhow::Result<usize> {
        let records = self.log.read(&STOCK_PRICES, 0, 0, usize::MAX >> 1).await?;
        let mut volumes = std::collections::BTreeSet::new();
        for record in records.iter().filter(|record| record.key == STAYS) {
            let bar: Bar = serde_json::from_slice(&record.value).context("a bar in the log")?;
            volumes.insert(bar.volume as u64);
        }
        Ok(volumes.len())
    }
}

/// The symbol that stays with its term, and perhaps another one with a term of its own.
fn list(number: Option<usize>) -> Vec<Entry> {
    let entry = |symbol: String, term: String| Entry {
        symbol: Some(symbol),
        search_term: Some(term),
        sections: Vec::new(),
    };
    let other = number.map(|number| entry(format!("S{number}"), format!("term{number}")));
    [entry(STAYS.into(), "apple".into())].into_iter().chain(other).collect()
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let grown = (self.after.memory as f64 - self.before.memory as f64) / 1_024.0;
        let millis = percentile(&self.applied, 0.99).as_secs_f64() * 1e3;
        vec![
            Figure::measured(
                "a change of the watchlist is applied after, 99th percentile",
                millis,
                "ms",
                Goal::None,
            ),
            Figure::measured("200 changes leave behind", grown, "MiB", Goal::None),
        ]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { before, after, applied, bars } = self;
        let mut sorted = applied.clone();
        sorted.sort();
        let (median, slowest) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
        writeln!(f, "{} changes of the watchlist, one after the other", applied.len())?;
        writeln!(f, "              before     after")?;
        writeln!(f, "tasks       {:8}  {:8}", before.tasks, after.tasks)?;
        writeln!(f, "sockets     {:8}  {:8}", before.sockets, after.sockets)?;
        writeln!(f, "memory KiB  {:8}  {:8}", before.memory, after.memory)?;
        writeln!(f, "applied by the feed after {median:.0?} (median), {slowest:.0?} (slowest)")?;
        write!(f, "no reconnect; all {bars} bars of the symbol that stayed are in the log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_changes_leave_about_the_tasks_the_sockets_and_the_memory_of_before() {
        let _alone = crate::ALONE.lock();
        let answer = run(&Wanted { changes: 200 }).unwrap();
        println!("{answer}");
        let (before, after) = (answer.before, answer.after);
        // A connection may be open for the next request; what each change left would be hundreds.
        let kept = 4;
        assert!(after.tasks <= before.tasks + kept, "{answer}");
        assert!(after.sockets <= before.sockets + kept, "{answer}");
        assert!(after.memory < before.memory + 8 * 1_024, "{answer}");
        assert_eq!(answer.bars, WARM_UP + 200);
    }
}
