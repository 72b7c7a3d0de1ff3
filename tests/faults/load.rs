//! Four times the whole market, minute after minute: memory has a bound, what
//! waits can be seen, every bar is stored once, and it catches up.

use std::collections::BTreeMap;
use std::io;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use model::time::{MINUTE, minute_of, now};
use testkit::massive::{Feed, History, KEY, MinuteBar, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::harness::{Running, Sandbox, wait_for};

/// Symbols whose bars come in the second after each minute, when asked otherwise.
const SYMBOLS: &str = "LOAD_SYMBOLS";
/// For how many minutes.
const MINUTES: &str = "LOAD_MINUTES";
/// Bars in a frame of the feed.
const FRAME: usize = 100;
/// By so much memory may grow, in KiB a bar: jobs hold what their open windows need,
/// half an hour or two hours of it, and nothing more.
const A_BAR: u64 = 1;
/// And by so much in any case, in KiB: queues that fill for the first time.
const WARM: u64 = 64 * 1_024;

pub fn number(name: &str, usual: i64) -> i64 {
    std::env::var(name).map_or(usual, |typed| typed.parse().unwrap())
}

/// The bar of a symbol in a minute, whose prices nobody else has.
pub fn bar(symbol: i64, start: i64) -> MinuteBar {
    let price = 10.0 + symbol as f64 + (start / MINUTE % 1_000) as f64 / 1_024.0;
    MinuteBar::new(&format!("S{symbol}"), start, price, 1.0 + symbol as f64)
}

/// A pipeline under load, and what was seen of it second by second.
struct Load {
    symbols: i64,
    /// Drives the feed.
    runtime: Runtime,
    http: reqwest::Client,
    feed: Feed,
    _history: History,
    sandbox: Sandbox,
    up: Running,
    address: String,
    memory: Vec<u64>,
    most_behind: f64,
}

impl Load {
    fn start(symbols: i64) -> Load {
        let runtime = Runtime::new().unwrap();
        let (feed, history) =
            runtime.block_on(async { (Feed::start(Script::default()).await, History::start(KEY).await) });
        let sandbox = Sandbox::new()
            .with("TICKWIRE_POLYGON__WEBSOCKET_URL", feed.url())
            .with("TICKWIRE_POLYGON__REST_URL", history.url())
            .with("TICKWIRE_POLYGON__FEED_DELAY", "0")
            .with("TICKWIRE_POLYGON__API_KEY", KEY)
            .with("TICKWIRE_NEWS", "none")
            .with("TICKWIRE_METRICS__LISTEN", "127.0.0.1:0");
        let up = sandbox.start("up --listen 127.0.0.1:0 --prices polygon");
        let told = up.said("Health and metrics are served");
        let address = told.split("address=").nth(1).unwrap().trim().to_owned();
        sandbox.out("watch add *");
        runtime.block_on(feed.until_pairs(&["AM.*"]));
        let (memory, most_behind) = (Vec::new(), 0.0);
        Load {
            symbols,
            runtime,
            http: net::http().unwrap(),
            feed,
            _history: history,
            sandbox,
            up,
            address,
            memory,
            most_behind,
        }
    }

    /// Sends every symbol's bar of the minute that begins at `start`, within a second of its end.
    fn send(&mut self, start: i64) {
        while now() < start + MINUTE {
            self.look();
            std::thread::sleep(Duration::from_millis(200));
        }
        let frames = (self.symbols as usize).div_ceil(FRAME);
        let begun = Instant::now();
        for frame in 0..frames {
            let symbols = (frame * FRAME) as i64..((frame + 1) * FRAME).min(self.symbols as usize) as i64;
            let bars: Vec<MinuteBar> = symbols.map(|symbol| bar(symbol, start)).collect();
            self.feed.bars(&bars);
            if frame % 40 == 0 {
                self.look();
            }
            let due = Duration::from_secs(1) * frame as u32 / frames as u32;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }

    /// Looks at its memory and at how far it is; gives the event time that all of it
    /// has reached, where nothing waits in the log.
    fn look(&mut self) -> Option<i64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.up.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        self.memory.push(line.trim().trim_end_matches("kB").trim().parse().unwrap());
        let url = format!("http://{}/metrics", self.address);
        let metrics = async { self.http.get(url).send().await.unwrap().text().await.unwrap() };
        let metrics = self.runtime.block_on(metrics);
        let told = |name: &str| -> Vec<f64> {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
        };
        let behind = told("tickwire_records_behind{").into_iter().reduce(|all, of_one| all + of_one)?;
        self.most_behind = self.most_behind.max(behind);
        let reached = told("tickwire_watermark_timestamp_seconds{").into_iter().reduce(f64::min)?;
        (behind == 0.0).then_some(reached as i64 * 1_000)
    }

    /// How many windows of `volatility` end when.
    fn windows(&self) -> BTreeMap<i64, i64> {
        let sql = "SELECT window_end, count(*) FROM volatility GROUP BY window_end";
        let out = self.sandbox.out_of("query --format csv -", sql);
        let row = |line: &str| {
            let (time, count) = line.split_once(',').unwrap();
            (time.parse().unwrap(), count.parse().unwrap())
        };
        out.lines().skip(1).map(row).collect()
    }
}

#[test]
#[ignore = "takes a quarter of an hour: cargo test --test faults -- --ignored load"]
fn under_four_times_the_market_memory_has_a_bound_and_every_bar_is_stored_once() {
    let (symbols, minutes) = (number(SYMBOLS, 48_000), number(MINUTES, 10));
    let mut load = Load::start(symbols);
    let first = minute_of(now());
    let starts: Vec<i64> = (0..minutes).map(|minute| first + minute * MINUTE).collect();
    starts.iter().for_each(|start| load.send(*start));
    let sent = Instant::now();
    let end = starts.last().unwrap() + MINUTE;
    wait_for("everything to be stored", || load.look().filter(|reached| *reached >= end));
    let caught_up = sent.elapsed();
    wait_for("the windows", || {
        let windows = load.windows();
        starts.iter().all(|start| windows.get(&(start + MINUTE)) == Some(&symbols)).then_some(())
    });

    let mut stored = BTreeMap::new();
    let bars = load.sandbox.out("export stock_prices");
    let mut lines = bars.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| names.iter().position(|column| *column == name).unwrap();
    let (symbol, start, close) = (at("symbol"), at("start_timestamp"), at("close"));
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let key = (cells[symbol].to_owned(), cells[start].parse::<i64>().unwrap());
        let before = stored.insert(key, cells[close].parse::<f64>().unwrap());
        assert!(before.is_none(), "twice: {line}");
    }
    for start in &starts {
        for bar in (0..symbols).map(|symbol| bar(symbol, *start)) {
            assert_eq!(stored.remove(&(bar.symbol.clone(), *start)), Some(bar.prices[3]), "{bar:?}");
        }
    }
    assert!(stored.is_empty(), "bars that nobody sent: {stored:?}");

    let most = |part: &[u64]| part.iter().copied().max().unwrap_or_default();
    let (before, after) = load.memory.split_at(load.memory.len() / 2);
    let (before, after) = (most(before), most(after));
    let text = format!(
        "| symbols, minutes | {symbols}, {minutes} |\n| bars stored, each once | {} |\n\
         | most records behind | {} |\n| everything stored after the last bar | {:.1} s |\n\
         | memory, first half, second half | {}, {} MiB |\n",
        symbols * minutes,
        load.most_behind,
        caught_up.as_secs_f64(),
        before / 1_024,
        after / 1_024
    );
    let _ = io::stderr().write_all(text.as_bytes());
    let bound = before + WARM + (symbols * (minutes + 1) / 2) as u64 * A_BAR;
    assert!(after <= bound, "memory goes on growing: {after} KiB after {before}");
}

// Many who watch the live page, each a symbol, and count what they are sent.

/// What one of them has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How often the bar of each minute came.
    pub bars: BTreeMap<i64, usize>,
    /// How often the stream was opened.
    pub opened: usize,
    /// How often it said that records between are missing.
    pub resets: usize,
    /// Bytes of events.
    pub bytes: u64,
}

/// Everybody who watches, as long as this is kept.
pub struct Viewers {
    seen: Vec<Arc<Mutex<Seen>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Viewers {
    /// Opens a stream for each symbol.
    pub fn watch(runtime: &Runtime, address: &str, symbols: impl Iterator<Item = String>) -> Viewers {
        let mut viewers = Viewers { seen: Vec::new(), tasks: Vec::new() };
        for symbol in symbols {
            let seen = Arc::new(Mutex::new(Seen::default()));
            viewers.seen.push(Arc::clone(&seen));
            viewers.tasks.push(runtime.spawn(watch(address.to_owned(), symbol, seen)));
        }
        viewers
    }

    /// What each of them has seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.iter().map(|seen| seen.lock().unwrap().clone()).collect()
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Watches, and opens the stream again where it left off when it ends, as a browser does.
async fn watch(address: String, symbol: String, seen: Arc<Mutex<Seen>>) {
    let mut last = String::new();
    loop {
        let _ = follow(&address, &symbol, &seen, &mut last).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn follow(address: &str, symbol: &str, seen: &Mutex<Seen>, last: &mut String) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    // In HTTP/1.0, so that events come as they are and not in chunks.
    let id = if last.is_empty() { String::new() } else { format!("Last-Event-ID: {last}\r\n") };
    let asked = format!("GET /events?symbol={symbol} HTTP/1.0\r\nHost: {address}\r\n{id}\r\n");
    stream.write_all(asked.as_bytes()).await?;
    seen.lock().unwrap().opened += 1;
    let mut bytes = vec![0; 64 << 10];
    let mut text = String::new();
    loop {
        let read = stream.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        // Symbols and figures are ASCII; nothing else of the text is looked at.
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        if !text.contains("\n\n") {
            continue;
        }
        let end = text.rfind("\n\n").map_or(0, |end| end + 2);
        let events: String = text.drain(..end).collect();
        let mut seen = seen.lock().unwrap();
        seen.bytes += events.len() as u64;
        for event in events.split("\n\n") {
            take(event, &mut seen, last);
        }
    }
}

fn take(event: &str, seen: &mut Seen, last: &mut String) {
    if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id: ")) {
        id.clone_into(last);
    }
    seen.resets += usize::from(event.contains("event: reset"));
    // The viewer's own bars stand first, if there are any.
    let Some((_, own)) = event.split_once(r#"data: {"bars":["#) else { return };
    let own = own.split_once(']').map_or(own, |(own, _)| own);
    for start in own.split(r#""start_timestamp":"#).skip(1) {
        let digits: String = start.chars().take_while(char::is_ascii_digit).collect();
        *seen.bars.entry(digits.parse().unwrap()).or_default() += 1;
    }
}
