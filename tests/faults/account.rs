//! The account: where every event that was issued is now, and whether what was
//! made of them is right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use model::DeadLetter;
use model::dead_letter::Encoding;
use serde_json::Value as Json;

use crate::embedded::Draws;
use crate::harness::Sandbox;
use crate::market::{Key, Market};
use crate::page::{COSTLY, Changes};
use crate::poison::Poison;

/// The jobs, each with the measurement of its results.
pub const JOBS: [&str; 5] = ["volatility", "news_impact", "news_reaction", "movers", "signals"];

/// What each event came to; of what is not right at most a few, in words.
#[derive(Debug, Default)]
pub struct Reconciliation {
    pub issued: usize,
    pub written: usize,
    pub dead_lettered: usize,
    /// Records that did not belong there, each in a dead letter.
    pub set_aside: usize,
    /// Changes of the watchlist that were acknowledged and stand.
    pub changes: usize,
    pub pending: usize,
    pub lost: Vec<String>,
    pub twice: Vec<String>,
    pub wrong: Vec<String>,
}

/// What was done to a run beside the market.
#[derive(Default)]
pub struct Beside {
    pub poison: Vec<Poison>,
    pub changes: Changes,
}

/// What `tickwire compute` makes of a market's files, by job.
pub struct Undisturbed(BTreeMap<&'static str, String>);

impl Undisturbed {
    /// Computed from the files of `sandbox`.
    pub fn of(sandbox: &Sandbox) -> Undisturbed {
        let compute = |job: &&'static str| {
            (*job, sandbox.out(&format!("compute {job} --bars bars.csv --news news.csv")))
        };
        Undisturbed(JOBS.iter().map(compute).collect())
    }

    /// How many rows a job has.
    pub fn rows(&self, job: &str) -> usize {
        self.0[job].lines().count().saturating_sub(1)
    }
}

impl Reconciliation {
    /// The account while more may come: what is not there yet is pending.
    pub fn between(sandbox: &Sandbox, market: &Market, beside: &Beside) -> Reconciliation {
        let mut account = Reconciliation::of(sandbox, market, beside);
        account.pending = std::mem::take(&mut account.lost).len();
        account
    }

    /// The account at the end: nothing may be pending, and results must be those
    /// of an undisturbed computation.
    pub fn at_the_end(sandbox: &Sandbox, market: &Market, undisturbed: &Undisturbed) -> Reconciliation {
        Reconciliation::at_the_end_beside(sandbox, market, undisturbed, &Beside::default())
    }

    /// The same, where something was done to the run beside the market.
    pub fn at_the_end_beside(
        sandbox: &Sandbox,
        market: &Market,
        undisturbed: &Undisturbed,
        beside: &Beside,
    ) -> Reconciliation {
        let mut account = Reconciliation::of(sandbox, market, beside);
        account.count_bars_of_log(market, &logged_bars(sandbox));
        for (job, computed) in &undisturbed.0 {
            account.compare(job, &sandbox.run(&format!("export {job}")).out, computed);
        }
        account.count_late(sandbox, market);
        account
    }

    fn of(sandbox: &Sandbox, market: &Market, beside: &Beside) -> Reconciliation {
        let mut account = Reconciliation { issued: market.issued(), ..Reconciliation::default() };
        account.count_bars(market, &stored_bars(sandbox));
        let letters = letters(sandbox);
        account.count_rotten(market, &letters);
        account.count_poison(&beside.poison, &letters);
        account.count_refused(market, &beside.poison, &letters);
        account.count_changes(sandbox, &beside.changes);
        account.count_articles(market, &stored_articles(sandbox));
        account
    }

    /// Adds what another account counts of what is right.
    pub fn add(&mut self, other: &Reconciliation) {
        self.issued += other.issued;
        self.written += other.written;
        self.dead_lettered += other.dead_lettered;
        self.set_aside += other.set_aside;
        self.changes += other.changes;
    }

    /// The rows of a table of runs that all were right.
    pub fn rows(&self) -> String {
        let Reconciliation { issued, written, dead_lettered, set_aside, changes, .. } = self;
        format!(
            "| events issued | {issued} |\n| written | {written} |\n| dead letters | {dead_lettered} |\n\
             | foreign records set aside | {set_aside} |\n| changes acknowledged, and kept | {changes} |\n\
             | lost | 0 |\n| twice | 0 |\n| wrong | 0 |\n"
        )
    }

    /// Whether everything is where it should be.
    pub fn is_right(&self) -> bool {
        self.lost.is_empty() && self.twice.is_empty() && self.wrong.is_empty()
    }

    /// Each bar once, with the number of its last version; a version that was
    /// overtaken is written with the one that took its place.
    fn count_bars(&mut self, market: &Market, stored: &[(Key, u64)]) {
        let mut found: BTreeMap<&Key, u64> = BTreeMap::new();
        for (key, number) in stored {
            match market.bars.get(key) {
                None => self.wrong.push(format!("a bar that nobody issued: {key:?}")),
                Some(versions) if !versions.contains(number) => {
                    self.wrong.push(format!("{key:?} is number {number}, issued were {versions:?}"));
                }
                Some(_) => {}
            }
            if found.insert(key, *number).is_some() {
                self.twice.push(format!("{key:?} is stored twice"));
            }
        }
        for (key, versions) in &market.bars {
            match found.get(key).and_then(|number| versions.iter().position(|version| version == number)) {
                Some(at) => {
                    self.written += at + 1;
                    let overtaking = &versions[at + 1..];
                    self.lost.extend(overtaking.iter().map(|number| format!("{key:?}, number {number}")));
                }
                None => self.lost.extend(versions.iter().map(|number| format!("{key:?}, number {number}"))),
            }
        }
    }

    /// The log holds every version, and none twice.
    fn count_bars_of_log(&mut self, market: &Market, logged: &[u64]) {
        let mut seen = BTreeSet::new();
        let again: Vec<_> = logged.iter().filter(|number| !seen.insert(**number)).collect();
        self.twice.extend(again.iter().map(|number| format!("number {number} is in the log twice")));
        let missing = market.bars.values().flatten().filter(|number| !seen.contains(number));
        self.lost.extend(missing.map(|number| format!("number {number} is not in the log")));
    }

    fn count_rotten(&mut self, market: &Market, letters: &[Letter]) {
        for word in &market.rotten {
            let held = |letter: &&Letter| letter.event.split([',', '"']).any(|field| field == word);
            let reasons: Vec<_> = letters.iter().filter(held).map(|letter| &letter.reason).collect();
            match reasons[..] {
                [] => self.lost.push(word.clone()),
                [reason] if reason.is_empty() => {
                    self.wrong.push(format!("{word} is refused without a reason"));
                }
                [_] => self.dead_lettered += 1,
                _ => self.twice.push(format!("{word} is in {} dead letters", reasons.len())),
            }
        }
    }

    /// Each record that does not belong there is in a dead letter, which says where it
    /// stood. The sink writes letters before it commits, so that a kill may repeat one:
    /// the same place is the same letter.
    fn count_poison(&mut self, poison: &[Poison], letters: &[Letter]) {
        for Poison { topic, word, .. } in poison.iter().filter(|poison| poison.is_set_aside()) {
            let held = letters.iter().filter(|letter| letter.event.contains(word));
            let (of_topic, others): (Vec<_>, Vec<_>) = held.partition(|letter| letter.source == topic.name());
            let place = |letter: &&Letter| letter.reason.splitn(3, ':').take(1).collect::<String>();
            let places: BTreeSet<_> = of_topic.iter().map(place).collect();
            self.wrong.extend(
                others.iter().map(|letter| format!("{word} of {topic} is said to be of {}", letter.source)),
            );
            match places.len() {
                0 => self.lost.push(format!("{word} of {topic}")),
                1 => self.set_aside += 1,
                count => self.twice.push(format!("{word} of {topic} is in letters of {count} places")),
            }
        }
    }

    /// Nothing is refused that is neither rotten nor poison.
    fn count_refused(&mut self, market: &Market, poison: &[Poison], letters: &[Letter]) {
        let is_known = |letter: &&Letter| {
            let rotten = market.rotten.iter().any(|word| letter.event.contains(word));
            rotten || poison.iter().any(|poison| letter.event.contains(&poison.word))
        };
        let others: Vec<_> = letters.iter().filter(|letter| !is_known(letter)).collect();
        if let Some(first) = others.first() {
            let Letter { source, reason, event } = first;
            let event: String = event.chars().take(200).collect();
            self.wrong.push(format!(
                "{} records are refused and good, as {event} of {source}: {reason}",
                others.len()
            ));
        }
    }

    /// Each change that was acknowledged stands in the list, once; what was not may
    /// stand there, too.
    fn count_changes(&mut self, sandbox: &Sandbox, changes: &Changes) {
        if changes.added.is_empty() {
            return;
        }
        let list: Json = serde_json::from_str(&sandbox.out("watch list --json")).unwrap();
        let listed: Vec<&str> = list["entries"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["symbol"].as_str())
            .collect();
        for (symbol, acknowledged) in &changes.added {
            match listed.iter().filter(|listed| *listed == symbol).count() {
                0 if *acknowledged => {
                    self.wrong.push(format!("{symbol} was added and acknowledged, and is not in the list"));
                }
                1 if *acknowledged => self.changes += 1,
                0 | 1 => {}
                times => self.twice.push(format!("{symbol} is in the list {times} times")),
            }
        }
        let foreign = listed.iter().filter(|listed| !changes.added.contains_key(**listed));
        self.wrong.extend(foreign.map(|symbol| format!("{symbol} is in the list, and nobody added it")));
        let version = list["version"].as_u64().unwrap_or_default();
        if version != listed.len() as u64 {
            self.wrong.push(format!(
                "the list is at version {version} with {} entries, each of one change",
                listed.len()
            ));
        }
    }

    fn count_articles(&mut self, market: &Market, stored: &[String]) {
        for id in &market.articles {
            match stored.iter().filter(|stored| *stored == id).count() {
                0 => self.lost.push(id.clone()),
                1 => self.written += 1,
                times => self.twice.push(format!("{id} is stored {times} times")),
            }
        }
        let unknown = stored.iter().filter(|id| !market.articles.contains(id));
        self.wrong.extend(unknown.map(|id| format!("an article that nobody issued: {id}")));
    }

    fn compare(&mut self, job: &str, stored: &str, computed: &str) {
        // Sorted, because paths of one minute are in the store by an offset and in a file by their article.
        let (stored, computed) = (sorted(stored), sorted(computed));
        if stored != computed {
            let differ = stored.iter().zip(&computed).find(|(stored, computed)| stored != computed);
            let counts = (stored.len(), computed.len());
            self.wrong.push(format!("{job}: {counts:?} rows; the first that differs is {differ:?}"));
        }
    }

    /// Late is what the file says, not what a heartbeat makes of it.
    fn count_late(&mut self, sandbox: &Sandbox, market: &Market) {
        let said = lines_of(sandbox, "tail service-status --key sink");
        let is_status = |line: &&Json| line["value"].is_object() && line["value"].get("poison").is_none();
        let late = said
            .iter()
            .rfind(is_status)
            .map(|line| line["value"]["counts"]["late"].clone())
            .unwrap_or_default();
        if late != market.late {
            self.wrong.push(format!("{late} bars count as late, {} are", market.late));
        }
    }
}

impl fmt::Display for Reconciliation {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        let Reconciliation {
            issued,
            written,
            dead_lettered,
            set_aside,
            changes,
            pending,
            lost,
            twice,
            wrong,
        } = self;
        writeln!(to, "issued {issued}, written {written}, dead letters {dead_lettered}, pending {pending}")?;
        writeln!(to, "set aside {set_aside}, changes {changes}")?;
        for (what, words) in [("lost", lost), ("twice", twice), ("wrong", wrong)] {
            let some = words.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
            writeln!(to, "{what} {}: {some}", words.len())?;
        }
        Ok(())
    }
}

fn stored_bars(sandbox: &Sandbox) -> Vec<(Key, u64)> {
    let row = |row: BTreeMap<String, String>| {
        let number = row["volume"].parse::<f64>().unwrap() as u64;
        ((row["symbol"].clone(), row["start_timestamp"].parse().unwrap()), number)
    };
    rows_of(sandbox, "stock_prices").into_iter().map(row).collect()
}

fn stored_articles(sandbox: &Sandbox) -> Vec<String> {
    rows_of(sandbox, "news_articles").into_iter().map(|row| row["id"].clone()).collect()
}

fn logged_bars(sandbox: &Sandbox) -> Vec<u64> {
    let is_bar = |line: &Json| !line["key"].as_str().unwrap_or("~").starts_with('~');
    // Neither garbage nor a lie, which are counted as letters.
    let number = |line: Json| {
        let is_ours = line["value"].get("poison").is_none();
        is_ours.then(|| line["value"]["volume"].as_f64()).flatten().map(|volume| volume as u64)
    };
    lines_of(sandbox, "tail stock-prices").into_iter().filter(is_bar).filter_map(number).collect()
}

/// A dead letter, with as much of its event as is text.
struct Letter {
    source: String,
    reason: String,
    event: String,
}

/// The dead letters; what else stands among them is passed over.
fn letters(sandbox: &Sandbox) -> Vec<Letter> {
    let letter = |mut line: Json| {
        let letter: DeadLetter = serde_json::from_value(line["value"].take()).ok()?;
        let event = match letter.encoding {
            Encoding::Text => letter.event,
            Encoding::Base64 => String::from_utf8_lossy(&letter.bytes()?).into_owned(),
        };
        Some(Letter { source: letter.source, reason: letter.reason, event })
    };
    lines_of(sandbox, "tail dead-letters").into_iter().filter_map(letter).collect()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The rows of a measurement; none while there is none.
fn rows_of(sandbox: &Sandbox, measurement: &str) -> Vec<BTreeMap<String, String>> {
    let out = sandbox.run(&format!("export {measurement}")).out;
    assert!(!out.contains('~'), "a heartbeat is in the export of {measurement}");
    let mut lines = out.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let row = |line: &str| {
        names.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect()
    };
    lines.map(row).collect()
}

/// The JSON lines that a command prints; none where it has nothing to read yet.
fn lines_of(sandbox: &Sandbox, line: &str) -> Vec<Json> {
    sandbox.run(line).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// Seeded schedules: which fault comes when.

/// How far the pipeline has come when the fault comes: a share of what a topic
/// holds at the end of an undisturbed run, or of what the sink commits of it.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    pub of: Progress,
    pub topic: &'static str,
    pub share: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Appended,
    Committed,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `kill -9`.
    Kill,
    /// `kill -9`, with a write to the log of which so many bytes reached the disk.
    TearLog(usize),
    /// `kill -9`, and the store is lost.
    LoseStore,
    /// SIGTERM under load.
    Terminate,
    /// A second instance is started by mistake, then the first is killed.
    Second,
    /// The process is frozen, looked at, thawed, and killed.
    Freeze,
    /// No file may grow beyond so many kilobytes.
    FullDisk(u32),
    /// The wall clock is put on or back by so many seconds.
    StepClock(i64),
    /// Somebody else holds the store's file until the log has everything.
    HoldStore,
    /// `kill -9`; then no file may grow by more than so many kilobytes.
    NearlyFullDisk(u32),
    /// So many connections are opened at the page, and left.
    Idle(usize),
    /// A browser asks on behalf of another site, and questions take all that there is.
    Asked(&'static str),
    /// So many change the watchlist at the same time.
    Change(usize),
    /// `kill -9`; then something else puts records onto every topic, chosen by this seed.
    Poison(u64),
    /// What the test does to a server until the log has everything; then `kill -9`.
    Outside,
}

/// One start of the pipeline and what happens to it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub stage: Stage,
    pub fault: Fault,
}

const TOPICS: [&str; 6] = ["stock-prices", "news-articles", "volatility", "news-impact", "movers", "signals"];

/// Three to six steps.
pub fn schedule(seed: u64) -> Vec<Step> {
    // Apart from the seeds of markets.
    let mut draws = Draws::new(seed ^ 0x5c4e_d01e);
    (0..3 + draws.below(4)).map(|_| step(&mut draws)).collect()
}

fn step(draws: &mut Draws) -> Step {
    let of = if draws.chance(0.5) { Progress::Appended } else { Progress::Committed };
    let stage = Stage { of, topic: draws.one_of(&TOPICS), share: draws.uniform() };
    let fault = match draws.below(18) {
        0..4 => Fault::Kill,
        4 => Fault::TearLog(1 + draws.below(10_000)),
        5 => Fault::LoseStore,
        6 => Fault::Terminate,
        7 => Fault::Second,
        8 => Fault::Freeze,
        9 => Fault::FullDisk(100 + draws.below(2_000) as u32),
        10 => Fault::StepClock(draws.one_of(&[-86_400, -3_600, -61, 61, 3_600, 86_400])),
        11 => Fault::HoldStore,
        12 => Fault::NearlyFullDisk(draws.below(400) as u32),
        13 => Fault::Idle(40 + draws.below(560)),
        14 => Fault::Asked(draws.one_of(&COSTLY)),
        15 => Fault::Change(3 + draws.below(3)),
        _ => Fault::Poison(draws.below(1 << 20) as u64),
    };
    Step { stage, fault }
}
