//! A recorded day with faults of every kind, as a seed throws them: the log
//! ends as the day was, and never said that it was complete when it was not.
//!
//! `TICKWIRE_SOAK_FAULTS` sets their number, `TICKWIRE_SOAK_SEED` the seed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use test_servers::massive::{Answer, MinuteBar, Script};
use wire::time::{DAY, MINUTE, Millis, SECOND};
use wire::topic::{GAPS, STOCK_PRICES};
use wire::{Bar, Gap};

use super::place::Place;
use crate::sources::Pulse;
use crate::tests::resume::draws;

type Minutes = BTreeMap<Millis, Vec<MinuteBar>>;
type Key = (String, Millis);
type Figures = ([f64; 4], f64);

/// The day of the recorded file with the most bars.
fn recorded_day() -> Option<Minutes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/us-equity-minute-bars.csv");
    if !path.exists() {
        println!("SKIPPED: {} is not there", path.display());
        return None;
    }
    let mut days: BTreeMap<Millis, Minutes> = BTreeMap::new();
    for row in files::bars(&path).unwrap() {
        let bar = row.unwrap().value;
        let minutes = days.entry(bar.start_timestamp / DAY).or_default();
        minutes.entry(bar.start_timestamp).or_default().push(MinuteBar {
            symbol: bar.symbol,
            start: bar.start_timestamp,
            prices: [bar.open, bar.high, bar.low, bar.close],
            volume: bar.volume,
        });
    }
    days.into_values().max_by_key(|minutes| minutes.values().map(Vec::len).sum::<usize>())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// What has been read of the log so far.
#[derive(Default)]
struct Seen {
    next: u64,
    complete: Option<Millis>,
    latest: HashMap<Key, (Millis, Figures)>,
    /// First versions that came before what was said to be complete.
    late: Vec<(Key, Millis)>,
    /// Records that say nothing new.
    repeated: Vec<Key>,
}

impl Seen {
    async fn read_on(&mut self, place: &Place) {
        for record in place.log.read(&STOCK_PRICES, 0, self.next, 100_000).await.unwrap() {
            self.next = record.offset + 1;
            let bar: Bar = serde_json::from_slice(&record.value).unwrap();
            assert!(self.complete.is_none_or(|before| before <= bar.complete_until), "time fell: {bar:?}");
            if !bar.is_clock() {
                self.take(&bar);
            }
            self.complete = Some(bar.complete_until);
        }
    }

    fn take(&mut self, bar: &Bar) {
        let key = (bar.symbol.clone(), bar.start_timestamp);
        let figures = ([bar.open, bar.high, bar.low, bar.close], bar.volume);
        let before = self.latest.get(&key).copied();
        if before.is_none() && self.complete.is_some_and(|complete| bar.start_timestamp < complete) {
            self.late.push((key.clone(), self.complete.unwrap_or_default()));
        }
        if before.is_some_and(|(_, before)| before == figures) {
            self.repeated.push(key.clone());
        }
        if before.is_none_or(|(received, _)| received <= bar.received_timestamp) {
            self.latest.insert(key, (bar.received_timestamp, figures));
        }
    }

    fn has(&self, bar: &MinuteBar) -> bool {
        let found = self.latest.get(&(bar.symbol.clone(), bar.start));
        found.is_some_and(|(_, figures)| *figures == (bar.prices, bar.volume))
    }
}

struct Soak {
    place: Place,
    seen: Seen,
    /// The producer does not run until so many more minutes have passed.
    dead_for: u64,
    /// The feed lets nobody in for so many more minutes.
    shut_for: u64,
}

impl Soak {
    /// Sends bars, and waits until they are in the log if somebody is there to hear them.
    async fn send(&mut self, bars: &[MinuteBar]) {
        self.place.history.add(bars);
        if self.place.feed.pairs().is_empty() {
            return;
        }
        let opened = self.place.feed.opened();
        self.place.feed.bars(bars);
        let begun = Instant::now();
        while !bars.iter().all(|bar| self.seen.has(bar)) && self.place.feed.opened() == opened {
            if begun.elapsed() > Duration::from_secs(20) {
                panic!("never in the log: {bars:?}; {:?}", self.place.status().await);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.seen.read_on(&self.place).await;
        }
    }

    async fn fault(&mut self, kind: usize, length: u64) {
        let feed = &self.place.feed;
        match kind {
            0 => feed.drop_connections(),
            1 => feed.half_frame(),
            2 => feed.close(1000),
            3 => {
                let evicted =
                    r#"[{"ev":"status","status":"max_connections","message":"Maximum number exceeded."}]"#;
                feed.text(evicted);
                feed.close(1008);
            }
            4 => feed.stall(),
            5 => {
                self.shut_for = length;
                feed.refuse(true);
                feed.drop_connections();
            }
            6 => {
                self.place.history.answer([Answer::over_quota(length > 3), Answer::Cut]);
                feed.drop_connections();
            }
            7 if self.dead_for == 0 => {
                self.dead_for = length;
                self.place.kill().await;
            }
            _ => feed.text(r#"[{"ev":"AM","sym":"HALF"#),
        }
        if kind < 7 {
            self.place.feed.until("the connection ended", |feed| feed.open() == 0 || kind == 4).await;
            // A stalled connection is only noticed by the client.
            let opened = self.place.feed.opened();
            while kind == 4 && self.dead_for == 0 && self.place.feed.opened() == opened {
                self.place.pass(100);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// A minute has passed for everybody.
    fn recover(&mut self) {
        if self.dead_for > 0 {
            self.dead_for -= 1;
            if self.dead_for == 0 {
                self.place.start();
            }
        }
        self.shut_for = self.shut_for.saturating_sub(1);
        self.place.feed.refuse(self.shut_for > 0);
    }

    /// Time passes to `at`, with moments for what has become due.
    async fn pass_to(&mut self, at: Millis) {
        while crate::wall::Wall::now(&*self.place.wall) < at {
            let now = crate::wall::Wall::now(&*self.place.wall);
            self.place.wall.set(at.min(now + 20 * SECOND));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn the_log_ends_as_the_day_was_and_was_never_complete_too_early() {
    let Some(day) = recorded_day() else { return };
    let (faults, seed) = (setting("TICKWIRE_SOAK_FAULTS", 40), setting("TICKWIRE_SOAK_SEED", 7));
    let mut draw = draws(seed);
    let symbols: std::collections::BTreeSet<&str> =
        day.values().flatten().map(|bar| bar.symbol.as_str()).collect();
    let symbols: Vec<&str> = symbols.into_iter().collect();
    let (first, last) = (*day.keys().next().unwrap(), *day.keys().last().unwrap());
    let mut place = Place::new(Script::default(), &symbols).await;
    place.pulse = Pulse { ping: Duration::from_millis(60), silent: Duration::from_millis(600) };
    place.wall.set(first - 2 * MINUTE);
    place.start();
    place.feed.until("subscribed", |feed| !feed.pairs().is_empty()).await;
    let mut soak = Soak { place, seen: Seen::default(), dead_for: 0, shut_for: 0 };
    let minutes = ((last - first) / MINUTE) as usize + 1;
    let mut corrections: Vec<(Millis, MinuteBar)> = Vec::new();
    let mut thrown = 0;

    for index in 0..minutes {
        let minute = first + index as Millis * MINUTE;
        soak.pass_to(minute + MINUTE + 2 * SECOND).await;
        let mut bars = day.get(&minute).cloned().unwrap_or_default();
        for bar in &mut bars {
            if draw(50) == 0 {
                corrections.push((minute + (1 + draw(13)) as Millis * MINUTE, bar.clone()));
                bar.volume += 1.0;
            }
        }
        let due: Vec<_> = corrections.extract_if(.., |(at, _)| *at <= minute).map(|(_, bar)| bar).collect();
        bars.extend(due);
        soak.send(&bars).await;
        while thrown < faults && thrown as usize * minutes < (index + 1) * faults as usize {
            thrown += 1;
            let (kind, length) = (draw(9), 1 + draw(6) as u64);
            soak.fault(kind, length).await;
        }
        soak.recover();
    }

    // The last corrections, and then time for everything to heal.
    let left: Vec<_> = corrections.drain(..).map(|(_, bar)| bar).collect();
    (soak.dead_for, soak.shut_for) = (soak.dead_for.min(1), 0);
    soak.recover();
    soak.place.history.add(&left);
    soak.place
        .feed
        .until("connected at last", |feed| {
            soak.place.pass(SECOND);
            std::thread::sleep(Duration::from_millis(1));
            !feed.pairs().is_empty()
        })
        .await;
    soak.send(&left).await;
    let expected: BTreeMap<Key, Figures> = day
        .values()
        .flatten()
        .map(|bar| ((bar.symbol.clone(), bar.start), (bar.prices, bar.volume)))
        .collect();
    let begun = Instant::now();
    loop {
        soak.seen.read_on(&soak.place).await;
        let reduced: BTreeMap<Key, Figures> =
            soak.seen.latest.iter().map(|(key, (_, figures))| (key.clone(), *figures)).collect();
        if reduced == expected {
            break;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            let missing: Vec<_> =
                expected.iter().filter(|(key, figures)| reduced.get(*key) != Some(*figures)).collect();
            panic!(
                "seed {seed}: {} of {} differ: {:?}",
                missing.len(),
                expected.len(),
                &missing[..missing.len().min(5)]
            );
        }
        soak.place.pass(SECOND);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    check(&soak, seed, thrown).await;
}

/// Nothing was written twice, and what came late had been recorded as a gap.
async fn check(soak: &Soak, seed: u64, thrown: u64) {
    let all: Vec<Bar> = soak.place.all(&STOCK_PRICES).await;
    for (symbol, start) in &soak.seen.repeated {
        let versions = all.iter().filter(|bar| bar.symbol == *symbol && bar.start_timestamp == *start);
        versions.for_each(|bar| println!("{bar:?}"));
    }
    assert!(soak.seen.repeated.is_empty(), "seed {seed}: written twice: {:?}", soak.seen.repeated);
    let gaps: Vec<Gap> = soak.place.all(&GAPS).await;
    let recorded = |(symbol, start): &Key| {
        gaps.iter().any(|gap| gap.symbol == *symbol && (gap.from..gap.to).contains(start))
    };
    let lies: Vec<_> = soak.seen.late.iter().filter(|(key, _)| !recorded(key)).collect();
    for ((symbol, start), complete) in &lies {
        let near = gaps.iter().filter(|gap| gap.symbol == *symbol && (gap.from - start).abs() < 60 * MINUTE);
        println!(
            "{symbol} {start} came when complete until {complete}; gaps near {:?}",
            near.collect::<Vec<_>>()
        );
    }
    assert!(lies.is_empty(), "seed {seed}: complete too early for {} bars", lies.len());
    println!(
        "seed {seed}: {thrown} faults, {} connections, {} bars of which {} late with a gap recorded",
        soak.place.feed.opened(),
        soak.seen.latest.len(),
        soak.seen.late.len()
    );
}
