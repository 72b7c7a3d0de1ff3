//! Days of news with faults, edits, moves, take-downs and restarts, from seeds:
//! in the end the log says what the server says.
//!
//! `TICKWIRE_SOAK_FAULTS` sets how many faults there are at least.

use std::collections::BTreeSet;

use model::time::DAY;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use testkit::guardian::{Call, Fault, Newsroom};

use super::*;

const WORDS: [&str; 4] = ["apple", "pear", "plum", "quince"];

fn fault(dice: &mut ChaCha8Rng) -> Fault {
    match dice.random_range(0..8) {
        0 => Fault::TooManyCalls { retry_after: None },
        1 => Fault::TooManyCalls { retry_after: Some(dice.random_range(0..300)) },
        2 => Fault::Status(502),
        3 => Fault::Status(400),
        4 => Fault::NotJson,
        5 => Fault::CutOff,
        6 => Fault::Status(504),
        _ => Fault::Status(500),
    }
}

/// What was thrown so far, by kind, and what it was thrown at.
#[derive(Default)]
struct Thrown {
    faults: BTreeMap<String, u64>,
    articles: usize,
    versions: usize,
    calls: usize,
}

impl Thrown {
    fn count(&mut self, kind: &str) {
        *self.faults.entry(kind.to_owned()).or_default() += 1;
    }

    fn total(&self) -> u64 {
        self.faults.values().sum()
    }

    /// The calls that met a fault.
    fn met(&mut self, calls: &[Call]) {
        self.calls += calls.len();
        for fault in calls.iter().filter_map(|call| call.fault) {
            self.count(&match fault {
                Fault::TooManyCalls { .. } => "429".into(),
                Fault::Status(status) => status.to_string(),
                other => format!("{other:?}"),
            });
        }
    }
}

/// What happens in the newsroom at `now`: the stories of some seconds, edits, and faults.
fn happen(newsroom: &Newsroom, dice: &mut ChaCha8Rng, now: Millis, faults: usize) {
    for _ in 0..dice.random_range(0..6) {
        let id = format!("story/{:016x}", dice.random::<u64>());
        let words = [WORDS[dice.random_range(0..4)], WORDS[dice.random_range(0..4)]];
        // Several of one second.
        newsroom.publish(Story::new(&id, &words.join(" and "), now / SECOND * SECOND));
    }
    let known = newsroom.stories();
    if !known.is_empty() && dice.random_bool(0.5) {
        let id = &known[dice.random_range(0..known.len())].id;
        newsroom.edit(id, now, |story| {
            story.headline.push('!');
            if dice.random_bool(0.3) {
                story.published = now;
            }
        });
    }
    if dice.random_bool(0.05) {
        // In the midst of what may be a walk over pages.
        let (call, pick) = (newsroom.calls().len() + dice.random_range(0..3), dice.random::<u32>() as usize);
        newsroom.change_before(call, move |stories| {
            let gone = pick % stories.len().max(1);
            if gone < stories.len() {
                stories.remove(gone);
            }
        });
    }
    (0..faults).for_each(|_| newsroom.fail_next(fault(dice)));
}

/// What the log is to hold: each story under each entry that matches it.
fn expected(place: &Place) -> BTreeSet<(String, String, String, String, Option<Millis>)> {
    let mut expected = BTreeSet::new();
    for story in place.server.stories() {
        for entry in &place.lists.borrow().entries {
            let term = entry.search_term.clone().unwrap();
            if story.headline.contains(&term) {
                let symbol = entry.symbol.clone().unwrap_or_default();
                let modified = Some(story.modified / SECOND * SECOND);
                expected.insert((story.id.clone(), symbol, term, story.headline.clone(), modified));
            }
        }
    }
    expected
}

async fn soak(seed: u64, thrown: &mut Thrown) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let entries = [entry("AAPL", "apple"), entry("FRUT", "apple"), entry("", "pear"), entry("PLUM", "plum")];
    let place = Place::new(&entries).await;
    let end = START + 2 * DAY;
    let mut at = START;
    let mut first_seen: BTreeMap<String, Millis> = BTreeMap::new();
    while at < end {
        at += dice.random_range(1..20 * MINUTE);
        let (newsroom, mut own) = (place.server.newsroom(), ChaCha8Rng::seed_from_u64(dice.random()));
        let faults = if dice.random_bool(0.4) { dice.random_range(1..5) } else { 0 };
        place.clock.at(at, move || happen(&newsroom, &mut own, at, faults));
    }
    // Articles are owed from the time that the watch is under way.
    place.watch_until(START + 10 * SECOND).await.unwrap();
    while place.clock.now() < end {
        let until = end.min(place.clock.now() + dice.random_range(MINUTE..4 * HOUR));
        if dice.random_bool(0.2) {
            thrown.count("down");
            place.clock.pass(end.min(place.clock.now() + dice.random_range(MINUTE..20 * HOUR)));
        } else if dice.random_bool(0.6) {
            let broken =
                [FailurePoint::Before, FailurePoint::After, FailurePoint::Within(dice.random_range(0..3))];
            let broken = broken[dice.random_range(0..3)];
            let log = Arc::new(FaultyLog::new(place.log.clone(), dice.random_range(0..60), broken));
            let killed = place.watch_through(log, until).await;
            thrown.count(if killed.is_err() { "killed" } else { "stopped" });
        } else {
            thrown.count("stopped");
            place.watch_until(until).await.unwrap();
        }
    }
    // The newsroom rests.
    place.server.fail_no_more();
    place.watch_until(end + 4 * HOUR).await.unwrap();

    let articles = place.articles().await;
    let found: BTreeSet<_> = articles
        .iter()
        .map(|((id, symbol, term), a)| {
            (id.clone(), symbol.clone(), term.clone(), a.headline.clone(), a.updated_timestamp)
        })
        .collect();
    let expected = expected(&place);
    assert!(expected.len() > 200, "{} articles", expected.len());
    let published: BTreeSet<_> = place.server.stories().into_iter().map(|story| story.id).collect();
    let mut wrong = found.difference(&expected).filter(|article| published.contains(&article.0));
    assert_eq!(wrong.next(), None, "seed {seed}");
    assert_eq!(expected.difference(&found).next(), None, "seed {seed}");
    let versions = place.versions().await;
    for article in &versions {
        let first = *first_seen.entry(article.id.clone()).or_insert(article.published_timestamp);
        assert_eq!(article.published_timestamp, first, "seed {seed}: {} has moved", article.id);
    }
    let mut written = BTreeSet::new();
    for a in &versions {
        let version = (a.id.clone(), a.key().to_owned(), a.search_term.clone(), a.updated_timestamp);
        assert!(written.insert(version), "seed {seed}: written twice: {a:?}");
    }
    for partition in place.records::<Article>(&NEWS_ARTICLES).await {
        assert!(partition.is_sorted_by_key(|record| record.complete_until));
    }
    let calls = place.server.calls();
    thrown.met(&calls);
    thrown.articles += expected.len();
    thrown.versions += versions.len();
    assert!(calls.windows(2).all(|pair| pair[1].at - pair[0].at >= SECOND));
    assert!(calls.windows(501).all(|calls| calls[500].at - calls[0].at >= DAY));
    place.assert_no_key().await;
}

#[tokio::test]
async fn through_faults_edits_and_restarts_the_log_comes_to_say_what_the_server_says() {
    let least = std::env::var("TICKWIRE_SOAK_FAULTS").ok().and_then(|faults| faults.parse().ok());
    let mut thrown = Thrown::default();
    let mut seeds = 0;
    while seeds < 2 || thrown.total() < least.unwrap_or(500) {
        soak(seeds, &mut thrown).await;
        seeds += 1;
    }
    let Thrown { articles, versions, calls, faults } = &thrown;
    println!(
        "{seeds} seeds: {calls} calls, {} faults {faults:?}; {articles} articles in {versions} versions, \
         lost 0, written again 0, moved in time 0",
        thrown.total()
    );
}
