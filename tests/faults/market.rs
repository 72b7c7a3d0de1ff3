//! What the source issues: numbered bars and articles, some late, some corrected,
//! some rotten.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::embedded::Draws;

/// Friday, 1 March 2024, 9:30 in New York.
const OPEN: i64 = 1_709_303_400_000;
const MINUTE: i64 = 60_000;
const MINUTES: i64 = 200;
const SYMBOLS: [&str; 3] = ["AAPL", "IBM", "TSLA"];

/// A bar by its symbol and start.
pub type Key = (String, i64);

/// What was issued, and the files that hold it.
pub struct Market {
    pub prices: String,
    pub news: String,
    /// The numbers that were issued for each bar, the version that counts last.
    pub bars: BTreeMap<Key, Vec<u64>>,
    /// What must come to the dead letters holds one of these words.
    pub rotten: Vec<String>,
    /// Identities of the articles.
    pub articles: Vec<String>,
    /// How many good bars stand in the file behind one of a later minute.
    pub late: u64,
}

struct Row {
    key: Option<Key>,
    number: u64,
    text: String,
}

impl Market {
    /// The market of a seed: the same on every machine.
    pub fn new(seed: u64) -> Market {
        let mut draws = Draws::new(seed);
        let rows = rows(&mut draws);
        let (news, articles, rotten_news) = news(&mut draws);
        let mut market = Market {
            prices: "start_ms,symbol,open,high,low,close,volume\n".into(),
            news,
            bars: BTreeMap::new(),
            rotten: rotten_news,
            articles,
            late: 0,
        };
        let mut latest = i64::MIN;
        for row in rows {
            let _ = writeln!(market.prices, "{}", row.text);
            let Some(key) = row.key else {
                market.rotten.push(format!("rotten-{}", row.number));
                continue;
            };
            market.late += u64::from(key.1 < latest);
            latest = latest.max(key.1);
            market.bars.entry(key).or_default().push(row.number);
        }
        market
    }

    /// Everything that was issued, versions and rotten rows included.
    pub fn issued(&self) -> usize {
        self.bars.values().map(Vec::len).sum::<usize>() + self.rotten.len() + self.articles.len()
    }
}

fn rows(draws: &mut Draws) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut prices = [100.0_f64; SYMBOLS.len()];
    let mut number = 0;
    for minute in 0..MINUTES {
        for (symbol, price) in SYMBOLS.iter().zip(&mut prices) {
            if draws.chance(0.1) {
                continue;
            }
            let step = if draws.chance(0.02) { 0.05 } else { 0.002 };
            *price *= 1.0 + step * (draws.uniform() - 0.5);
            number += 1;
            rows.push(good(symbol, OPEN + minute * MINUTE, *price, number));
            if draws.chance(0.02) {
                number += 1;
                let text = format!("{},{symbol},rotten-{number},1,1,1,1", OPEN + minute * MINUTE);
                rows.push(Row { key: None, number, text });
            }
        }
    }
    displace(&mut rows, draws);
    correct(&mut rows, draws, number);
    rows
}

/// The number is the volume, by which every version of a bar is known again.
fn good(symbol: &str, start: i64, price: f64, number: u64) -> Row {
    let (high, low) = (price * 1.001, price * 0.999);
    let text = format!("{start},{symbol},{price},{high},{low},{price},{number}");
    Row { key: Some((symbol.to_owned(), start)), number, text }
}

/// Some rows come late by up to an hour.
fn displace(rows: &mut Vec<Row>, draws: &mut Draws) {
    for _ in 0..rows.len() / 25 {
        let from = draws.below(rows.len());
        let to = (from + draws.below(150)).min(rows.len() - 1);
        let row = rows.remove(from);
        rows.insert(to, row);
    }
}

/// Some bars are issued again later, with another price.
fn correct(rows: &mut Vec<Row>, draws: &mut Draws, mut number: u64) {
    for _ in 0..rows.len() / 30 {
        let of = draws.below(rows.len());
        let Some((symbol, start)) = rows[of].key.clone() else { continue };
        let at = of + 1 + draws.below(rows.len() - of);
        number += 1;
        rows.insert(at, good(&symbol, start, 100.0 + 5.0 * draws.uniform(), number));
    }
}

fn news(draws: &mut Draws) -> (String, Vec<String>, Vec<String>) {
    let (mut articles, mut rotten) = (Vec::new(), Vec::new());
    let mut text = "id,symbol,search_term,headline,url,published_timestamp\n".to_owned();
    for number in 0..40 {
        let symbol = draws.one_of(&SYMBOLS);
        let published = OPEN + (draws.uniform() * (MINUTES * MINUTE) as f64) as i64;
        if draws.chance(0.1) {
            rotten.push(format!("never-{number}"));
            let _ =
                writeln!(text, "faults/{number},{symbol},words,Headline,https://x.invalid/,never-{number}");
        } else {
            articles.push(format!("faults/{number}"));
            let _ = writeln!(
                text,
                "faults/{number},{symbol},words,Headline {number},https://x.invalid/,{published}"
            );
        }
    }
    (text, articles, rotten)
}
