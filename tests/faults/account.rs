//! The account: where every event that was issued is now, and whether what was
//! made of them is right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value as Json;

use crate::harness::Desk;
use crate::market::{Key, Market};

/// The jobs, each with the measurement of its results.
pub const JOBS: [&str; 5] = ["volatility", "news_impact", "news_reaction", "movers", "signals"];

/// What each event came to; of what is not right at most a few, in words.
#[derive(Debug, Default)]
pub struct Account {
    pub issued: usize,
    pub written: usize,
    pub dead_lettered: usize,
    pub pending: usize,
    pub lost: Vec<String>,
    pub twice: Vec<String>,
    pub wrong: Vec<String>,
}

/// What `tickwire compute` makes of a market's files, by job.
pub struct Undisturbed(BTreeMap<&'static str, String>);

impl Undisturbed {
    /// Computed from the files of `desk`.
    pub fn of(desk: &Desk) -> Undisturbed {
        let compute =
            |job: &&'static str| (*job, desk.out(&format!("compute {job} --bars bars.csv --news news.csv")));
        Undisturbed(JOBS.iter().map(compute).collect())
    }

    /// How many rows a job has.
    pub fn rows(&self, job: &str) -> usize {
        self.0[job].lines().count().saturating_sub(1)
    }
}

impl Account {
    /// The account while more may come: what is not there yet is pending.
    pub fn between(desk: &Desk, market: &Market) -> Account {
        let mut account = Account::of(desk, market);
        account.pending = std::mem::take(&mut account.lost).len();
        account
    }

    /// The account at the end: nothing may be pending, and results must be those
    /// of an undisturbed computation.
    pub fn at_the_end(desk: &Desk, market: &Market, undisturbed: &Undisturbed) -> Account {
        let mut account = Account::of(desk, market);
        account.count_bars_of_log(market, &logged_bars(desk));
        for (job, computed) in &undisturbed.0 {
            account.compare(job, &desk.run(&format!("export {job}")).out, computed);
        }
        account.count_late(desk, market);
        account
    }

    fn of(desk: &Desk, market: &Market) -> Account {
        let mut account = Account { issued: market.issued(), ..Account::default() };
        account.count_bars(market, &stored_bars(desk));
        account.count_rotten(market, &letters(desk));
        account.count_articles(market, &stored_articles(desk));
        account
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

    fn count_rotten(&mut self, market: &Market, letters: &[(String, String)]) {
        for word in &market.rotten {
            let held = |(event, _): &&(String, String)| event.split([',', '"']).any(|field| field == word);
            let reasons: Vec<_> = letters.iter().filter(held).map(|(_, reason)| reason).collect();
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

    /// Late is what the file says, not what a clock record makes of it.
    fn count_late(&mut self, desk: &Desk, market: &Market) {
        let said = lines_of(desk, "tail service-status --key sink");
        let late = said.last().map(|line| line["value"]["counts"]["late"].clone()).unwrap_or_default();
        if late != market.late {
            self.wrong.push(format!("{late} bars count as late, {} are", market.late));
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        let Account { issued, written, dead_lettered, pending, lost, twice, wrong } = self;
        writeln!(to, "issued {issued}, written {written}, dead letters {dead_lettered}, pending {pending}")?;
        for (what, words) in [("lost", lost), ("twice", twice), ("wrong", wrong)] {
            let some = words.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
            writeln!(to, "{what} {}: {some}", words.len())?;
        }
        Ok(())
    }
}

fn stored_bars(desk: &Desk) -> Vec<(Key, u64)> {
    let row = |row: BTreeMap<String, String>| {
        let number = row["volume"].parse::<f64>().unwrap() as u64;
        ((row["symbol"].clone(), row["start_timestamp"].parse().unwrap()), number)
    };
    rows_of(desk, "stock_prices").into_iter().map(row).collect()
}

fn stored_articles(desk: &Desk) -> Vec<String> {
    rows_of(desk, "news_articles").into_iter().map(|row| row["id"].clone()).collect()
}

fn logged_bars(desk: &Desk) -> Vec<u64> {
    let is_bar = |line: &Json| !line["key"].as_str().unwrap_or("~").starts_with('~');
    let number = |line: Json| line["value"]["volume"].as_f64().unwrap_or_default() as u64;
    lines_of(desk, "tail stock-prices").into_iter().filter(is_bar).map(number).collect()
}

/// The events of the dead letters, each with its reason.
fn letters(desk: &Desk) -> Vec<(String, String)> {
    let text = |line: &Json, field: &str| line["value"][field].as_str().unwrap_or_default().to_owned();
    let lines = lines_of(desk, "tail dead-letters");
    lines.iter().map(|line| (text(line, "event"), text(line, "reason"))).collect()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The rows of a measurement; none while there is none.
fn rows_of(desk: &Desk, measurement: &str) -> Vec<BTreeMap<String, String>> {
    let out = desk.run(&format!("export {measurement}")).out;
    assert!(!out.contains('~'), "a clock record is in the export of {measurement}");
    let mut lines = out.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let row = |line: &str| {
        names.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect()
    };
    lines.map(row).collect()
}

/// The JSON lines that a command prints; none where it has nothing to read yet.
fn lines_of(desk: &Desk, line: &str) -> Vec<Json> {
    desk.run(line).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
