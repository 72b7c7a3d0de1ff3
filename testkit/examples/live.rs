//! Runs stand-ins for Polygon and the Guardian on this machine, so that the live mode can be
//! tried without keys: `cargo run -p testkit --example live`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;
use rand::RngExt;
use rand::rngs::ThreadRng;
use testkit::guardian::{Guardian, Newsroom, Story};
use testkit::massive::{Auth, Feed, History, MinuteBar, Script};

/// The addresses and the accepted keys.
const FEED: &str = "127.0.0.1:7401";
const HISTORY: &str = "127.0.0.1:7402";
const GUARDIAN: &str = "127.0.0.1:7403";
const KEY: &str = "try-me";

const MINUTE: i64 = 60_000;
/// How many minutes of history a symbol has.
const PAST: i64 = 5 * 24 * 60;
/// Symbols that have a history before they are watched.
const WELL_KNOWN: [&str; 6] = ["AAPL", "AMZN", "IBM", "MSFT", "SPY", "TSLA"];
/// The average interval of headlines for each search term, in minutes.
const HEADLINE_EVERY: u32 = 3;
/// The interval of invalid events, in minutes.
const BAD_EVENT_EVERY: i64 = 5;
const DROP_EVERY: i64 = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let script = Script { auth: Auth::Key(KEY.into()), ..Script::default() };
    let feed = Feed::start_at(FEED, script).await;
    let history = History::start_at(HISTORY, KEY).await;
    let guardian = Guardian::start_at(GUARDIAN, KEY, now).await;
    println!("Polygon and the Guardian are played here until Ctrl-C. In another terminal:\n");
    println!("export TICKWIRE_POLYGON__WEBSOCKET_URL={} TICKWIRE_POLYGON__FEED_DELAY=0", feed.url());
    println!("export TICKWIRE_POLYGON__REST_URL={} TICKWIRE_GUARDIAN__URL={}", history.url(), guardian.url());
    println!("export POLYGON_API_KEY={KEY} GUARDIAN_API_KEY={KEY}\n");

    let mut market = Market::default();
    for symbol in WELL_KNOWN {
        history.add(&market.past(symbol, now() / MINUTE));
    }
    let mut minute = now() / MINUTE;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The bars of a minute are sent two seconds after its end.
        if (now() - 2_000) / MINUTE <= minute {
            continue;
        }
        let bars = market.minute(&feed, &history, minute);
        history.add(&bars);
        feed.bars(&bars);
        publish(&guardian);
        println!("{} {} bars", Utc::now().format("%H:%M:%S"), bars.len());
        go_wrong(&feed, minute);
        minute += 1;
    }
}

fn now() -> i64 {
    Utc::now().timestamp_millis()
}

/// The last price of each symbol.
#[derive(Default)]
struct Market {
    prices: BTreeMap<String, f64>,
    draws: ThreadRng,
}

impl Market {
    /// The bars of a minute, of every subscribed symbol and every well-known one.
    fn minute(&mut self, feed: &Feed, history: &History, minute: i64) -> Vec<MinuteBar> {
        let pairs = feed.pairs();
        let watched =
            pairs.iter().filter_map(|pair| pair.strip_prefix("AM.")).filter(|ticker| *ticker != "*");
        let symbols: BTreeSet<&str> = watched.chain(WELL_KNOWN).collect();
        let mut bars = Vec::new();
        for symbol in symbols {
            if !self.prices.contains_key(symbol) {
                history.add(&self.past(symbol, minute));
            }
            bars.push(self.bar(symbol, minute));
        }
        bars
    }

    /// The bars of a symbol up to a minute.
    fn past(&mut self, symbol: &str, minute: i64) -> Vec<MinuteBar> {
        (minute - PAST..minute).map(|minute| self.bar(symbol, minute)).collect()
    }

    /// The next step of a random walk.
    fn bar(&mut self, symbol: &str, minute: i64) -> MinuteBar {
        let open = *self.prices.entry(symbol.to_owned()).or_insert(100.0);
        let step = |draws: &mut ThreadRng| open * draws.random_range(-0.0008..0.0008);
        let close = open + step(&mut self.draws);
        let (up, down) = (step(&mut self.draws).abs(), step(&mut self.draws).abs());
        self.prices.insert(symbol.to_owned(), close);
        let prices = [open, open.max(close) + up, open.min(close) - down, close];
        let prices = prices.map(|price| (price * 100.0).round() / 100.0);
        let volume = f64::from(self.draws.random_range(100..20_000));
        MinuteBar { symbol: symbol.to_owned(), start: minute * MINUTE, prices, volume }
    }
}

/// Occasionally publishes a headline that a search of the last hour finds.
fn publish(newsroom: &Newsroom) {
    let mut draws = rand::rng();
    let recent = newsroom.calls().into_iter().rev().take_while(|call| call.at > now() - 60 * MINUTE);
    let terms: BTreeSet<String> = recent.map(|call| call.parameter("q").to_owned()).collect();
    for term in terms {
        let words = term.split(|c: char| !c.is_alphanumeric() && c != '&' && c != '-');
        let words: Vec<_> = words.filter(|word| !["", "AND", "OR", "NOT"].contains(word)).collect();
        if draws.random_ratio(1, HEADLINE_EVERY) {
            let headline = format!("Markets watch {} as trading goes on", words.join(" "));
            newsroom.publish(Story::new(&format!("business/{}", now()), &headline, now()));
            println!("a headline for `{term}`");
        }
    }
}

fn go_wrong(feed: &Feed, minute: i64) {
    if minute % BAD_EVENT_EVERY == 0 {
        feed.text(r#"[{"ev":"AM","sym":"AAPL","o":"ten"}]"#);
        println!("an event that is no bar: see `tickwire dead-letters list`");
    }
    if minute % DROP_EVERY == 0 {
        feed.drop_connections();
        println!("the connection is dropped: what is missed is filled from history");
    }
}
