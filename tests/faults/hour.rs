//! An hour at four times the market, each service within the memory that Compose
//! gives it, two hundred viewers, questions that eat memory, and a hostile feed: memory
//! is flat, nothing is killed, and every bar is stored once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::{KafkaConfig, KafkaLog, each_record};
use model::Bar;
use model::service::Service;
use model::status::ServiceStatus;
use model::time::{DAY, MINUTE, Millis, minute_of, now, rfc3339};
use model::topic::{SERVICE_STATUS, STOCK_PRICES};
use serde_json::{Value, json};
use testkit::influxd::{Influxd, ORG};
use testkit::kafka::Kafka;
use testkit::massive::{Answer, Auth, Feed, History, KEY, MinuteBar, Script};
use tokio::runtime::Runtime;

use crate::groups::{Group, Root};
use crate::harness::{Running, Sandbox, taken_port, wait_for};
use crate::load::{Seen, Viewers, bar, number};

/// How long the load lasts, in seconds.
const SECONDS: &str = "HOUR_SECONDS";
/// Symbols whose bars come after each minute.
const SYMBOLS: &str = "HOUR_SYMBOLS";
/// Streams of the page that are open.
const VIEWERS: &str = "HOUR_VIEWERS";
/// The files of Compose whose limits hold, as in `COMPOSE_FILE`.
const FILES: &str = "HOUR_COMPOSE_FILE";
const PLAIN: &str = "compose.yaml:compose.light.yaml";
const PRODUCTION: &str = "compose.yaml:compose.light.yaml:compose.prod.yaml";

/// Bars in a frame of the feed.
const FRAME: usize = 100;
/// Memory is looked at so often.
const LOOK: Duration = Duration::from_secs(5);
/// How long after the last bar everything may take to be stored, and a question to be answered.
const CATCHES_UP: Duration = Duration::from_secs(900);
/// By so much, in parts of a hundred and in bytes, memory may grow between the first
/// tenths of the time and the last, where nothing is held longer by design.
const MARGIN: u64 = 20;
const WARM: u64 = 32 << 20;
/// The services of ours, against the stream.
const OURS: [&str; 6] = ["sink", "engine", "alerts", "web", "news-watcher", "producer"];
/// Bars in a flood that nobody asked for, and events in one of garbage.
const UNASKED: u64 = 5_000;
const GARBAGE: usize = 3_000;
/// What is asked of the hostile feed.
const ASKED: [&str; 3] = ["A", "B", "C"];
/// The second producer, whose feed is hostile to the last frame.
const BESIDE: &str = "producer beside";

/// Bytes for each bar that a service holds by design, and for how many minutes: the engine
/// its open windows, the producer the versions of recent bars (80 bytes each, in B-tree
/// nodes of eleven that stay half full, because bars come in the order of their keys).
fn by_design(service: &str) -> (u64, i64) {
    match service {
        "engine" => (1_024, 120),
        "producer" => (240, 40),
        _ => (0, 0),
    }
}

/// A text of a billion letters out of a few hundred.
fn hungry() -> String {
    let mut from = format!("SELECT '{}' AS x0", "a".repeat(100));
    for level in 0..7 {
        let ten = vec![format!("x{level}"); 10].join(", ");
        from = format!("SELECT concat({ten}) AS x{} FROM ({from})", level + 1);
    }
    format!("SELECT length(x7) AS length FROM ({from})")
}

/// The limits of memory in files of Compose, in bytes, with Kafka's heap.
fn limits(files: &str) -> Option<(BTreeMap<String, u64>, String)> {
    let program = std::env::var_os("TEST_COMPOSE")?;
    let files = files.split(':').flat_map(|file| ["--file", file]);
    let mut command = Command::new(program);
    command.args(files).args(["config", "--format", "json"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.env_remove("COMPOSE_FILE").env_remove("COMPOSE_PROFILES").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    let services = config["services"].as_object().unwrap();
    let limit = |service: &Value| match &service["mem_limit"] {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_u64().unwrap(),
    };
    let heap = config["services"]["kafka"]["environment"]["KAFKA_HEAP_OPTS"].as_str().unwrap().to_owned();
    Some((services.iter().map(|(name, service)| (name.clone(), limit(service))).collect(), heap))
}

/// A service or a server in its group.
struct Held {
    group: Group,
    limit: u64,
    /// What ran in it at the start, questions' processes not among them.
    processes: Vec<u32>,
    /// Anonymous memory, by the seconds since the start.
    memory: Vec<(f64, u64)>,
}

/// Everything that runs, looked at now and then.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<BTreeMap<String, Held>>>);

impl Watch {
    /// Starts something within a limit.
    fn start<T>(&self, root: &Root, name: &str, limit: u64, start: impl FnOnce() -> T) -> T {
        let group = root.group(&name.replace(' ', "-"), limit).unwrap();
        let started = group.around(start);
        let held = Held { group, limit, processes: Vec::new(), memory: Vec::new() };
        self.0.lock().unwrap().insert(name.to_owned(), held);
        started
    }

    /// What runs now is to run in the end.
    fn all_are_there(&self) {
        for held in self.0.lock().unwrap().values_mut() {
            held.processes = held.group.processes().into_iter().collect();
        }
    }

    fn look(&self, begun: Instant) {
        for held in self.0.lock().unwrap().values_mut() {
            held.memory.push((begun.elapsed().as_secs_f64(), held.group.anonymous()));
        }
    }
}

/// Looks until it is dropped.
struct Looks {
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Looks {
    fn begin(watch: Watch, begun: Instant) -> Looks {
        let ends = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                watch.look(begun);
                std::thread::park_timeout(LOOK);
            }
        });
        Looks { ends, thread: Some(thread) }
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// What a feed does after its floods.
#[derive(Clone, Copy)]
enum Act {
    /// A frame of nothing but brackets.
    Deep,
    /// A longer frame than may be.
    Long,
    Binary,
    HalfFrame,
    /// It reads and writes no more.
    Stall,
    /// Whoever signs in is cut off, for a while.
    Shut,
    Cut,
}

/// A feed that floods with what was not asked for, lies about time and sends garbage to
/// each connection, and then does its worst, act by act, as long as it is asked.
async fn is_hostile(feed: Arc<Feed>, history: Arc<History>, floods: Arc<AtomicU64>) {
    let unasked: Vec<MinuteBar> =
        (0..UNASKED).map(|n| MinuteBar::new(&format!("Z{n}"), minute_of(now()), 9.0, 1.0)).collect();
    let answers =
        [Answer::Endless, Answer::Loops, Answer::Hangs, Answer::About("MSFT".into()), Answer::Usual];
    let acts = [Act::Deep, Act::Long, Act::Binary, Act::HalfFrame, Act::Cut, Act::Shut, Act::Stall];
    for (answer, act) in answers.iter().cycle().zip(acts.iter().cycle()) {
        while feed.open() == 0 || feed.pairs().len() < ASKED.len() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        history.always(Some(answer.clone()));
        let minute = minute_of(now()) - MINUTE;
        let asked = |start: Millis| ASKED.map(|symbol| MinuteBar::new(symbol, start, 10.0, 1.0));
        feed.bars(&asked(minute));
        feed.flood(&unasked);
        feed.flood(&asked(minute + 90_000 * DAY));
        feed.flood(&asked(minute - 9 * DAY));
        feed.text(garbage(GARBAGE));
        floods.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        match act {
            Act::Deep => feed.text("[".repeat(1 << 20)),
            Act::Long => feed.text(" ".repeat(20 << 20)),
            Act::Binary => feed.binary(vec![0xff; 1 << 20]),
            Act::HalfFrame => feed.half_frame(),
            Act::Stall => feed.stall(),
            Act::Cut => feed.drop_connections(),
            Act::Shut => {
                feed.change(|script| script.auth = Auth::Drops);
                feed.drop_connections();
                tokio::time::sleep(Duration::from_secs(10)).await;
                feed.change(|script| script.auth = Auth::Key(KEY.into()));
            }
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

fn garbage(events: usize) -> String {
    json!(vec![json!({"ev": "AM", "sym": "A", "o": "much"}); events]).to_string()
}

/// Questions that eat memory, and how they ended.
#[derive(Clone, Default)]
struct Questions(Arc<Mutex<BTreeMap<String, u64>>>);

impl Questions {
    /// Two at once, as many as the page answers.
    fn ask(&self, runtime: &Runtime, address: &str) {
        for _ in 0..2 {
            let (ended, url) = (self.clone(), format!("http://{address}/api/v1/query"));
            runtime.spawn(async move {
                let http = net::patient_http(Duration::from_secs(60)).unwrap();
                let answer = http.get(url).query(&[("sql", hungry())]).send().await;
                let end = match answer {
                    Ok(answer) => {
                        let status = answer.status().as_u16();
                        let text = answer.text().await.unwrap_or_default();
                        let of_memory = if text.contains("needs more than") { " for its memory" } else { "" };
                        format!("{status}{of_memory}")
                    }
                    Err(error) => format!("no answer: {error}"),
                };
                *ended.0.lock().unwrap().entry(end).or_default() += 1;
            });
        }
    }

    fn ended(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().clone()
    }
}

/// The pipeline and what is beside it.
struct Hour {
    symbols: i64,
    seconds: i64,
    begun: Instant,
    _looks: Looks,
    viewers: Viewers,
    page: String,
    questions: Questions,
    feed: Feed,
    _history: History,
    beside: KafkaLog,
    floods: Arc<AtomicU64>,
    log: KafkaLog,
    running: BTreeMap<String, Running>,
    _desks: [Sandbox; 2],
    influxd: Influxd,
    _kafkas: [Kafka; 2],
    watch: Watch,
    runtime: Runtime,
    _root: Root,
}

impl Hour {
    /// None where something is not on this machine, which is said.
    fn start() -> Option<Hour> {
        let (symbols, seconds) = (number(SYMBOLS, 48_000), number(SECONDS, 3_600));
        let files = std::env::var(FILES).unwrap_or_else(|_| PRODUCTION.to_owned());
        let told = |text: &str| {
            let _ = writeln!(std::io::stderr(), "{text}");
        };
        let Some((limits, heap)) = limits(&files) else {
            told("SKIPPED: TEST_COMPOSE does not name the compose program (.ci/compose builds it)");
            return None;
        };
        let root = Root::find().map_err(|error| told(&format!("SKIPPED: {error}"))).ok()?;
        let runtime = Runtime::new().unwrap();
        let watch = Watch::default();
        let kafka = watch.start(&root, "kafka", limits["kafka"], || Kafka::with_heap(&heap))?;
        // It is no part of what is measured.
        let other = Kafka::with_heap("-Xmx256m")?;
        let start = || runtime.block_on(Influxd::start());
        let influxd = watch.start(&root, "influxdb", limits["influxdb"], start)?;
        runtime.block_on(influxd.make_bucket("events", None));

        let (feed, history) =
            runtime.block_on(async { (Feed::start(Script::default()).await, History::start(KEY).await) });
        let page = format!("127.0.0.1:{}", taken_port().1);
        let sandbox = sandbox(&kafka, &feed, &history)
            .with("TICKWIRE_STORE", "influxdb")
            .with("TICKWIRE_INFLUXDB__URL", influxd.url.clone())
            .with("TICKWIRE_INFLUXDB__ORG", ORG)
            .with("TICKWIRE_INFLUXDB__TOKEN", influxd.token.clone())
            .with("TICKWIRE_WEB__LISTEN", page.clone());
        let mut running = BTreeMap::new();
        for service in OURS {
            let started = watch.start(&root, service, limits[service], || sandbox.start(service));
            started.said("Health and metrics are served");
            running.insert(service.to_owned(), started);
        }
        sandbox.out("watch add *");
        runtime.block_on(feed.until_pairs(&["AM.*"]));

        let (hostile, empty) =
            runtime.block_on(async { (Feed::start(Script::default()).await, History::start(KEY).await) });
        let second = self::sandbox(&other, &hostile, &empty);
        let started = watch.start(&root, BESIDE, limits["producer"], || second.start("producer"));
        started.said("Health and metrics are served");
        running.insert(BESIDE.to_owned(), started);
        second.out(&format!("watch add {}", ASKED.join(" ")));
        runtime.block_on(
            hostile.until_pairs(&ASKED.map(|symbol| format!("AM.{symbol}")).each_ref().map(String::as_str)),
        );
        let floods = Arc::new(AtomicU64::new(0));
        runtime.spawn(is_hostile(Arc::new(hostile), Arc::new(empty), Arc::clone(&floods)));

        wait_for("the page", || TcpStream::connect(&page).ok());
        let many = number(VIEWERS, 200);
        let watched = (0..many).map(|viewer| format!("S{}", viewer * symbols / many));
        let viewers = Viewers::watch(&runtime, &page, watched);
        let begun = Instant::now();
        watch.all_are_there();
        let log = |kafka: &Kafka| {
            KafkaLog::new(&KafkaConfig { partitions: 2, ..KafkaConfig::new(kafka.bootstrap_servers()) })
                .unwrap()
        };
        Some(Hour {
            symbols,
            seconds,
            begun,
            _looks: Looks::begin(watch.clone(), begun),
            viewers,
            page,
            questions: Questions::default(),
            feed,
            _history: history,
            beside: log(&other),
            floods,
            log: log(&kafka),
            running,
            _desks: [sandbox, second],
            influxd,
            _kafkas: [kafka, other],
            watch,
            runtime,
            _root: root,
        })
    }

    /// Sends every minute that begins within the time; gives their starts.
    fn send(&self) -> Vec<Millis> {
        let first = minute_of(now());
        let starts: Vec<Millis> =
            (0..(self.seconds / 60).max(1)).map(|minute| first + minute * MINUTE).collect();
        for start in &starts {
            while now() < start + MINUTE {
                std::thread::sleep(Duration::from_millis(100));
            }
            self.send_minute(*start);
            self.send_lies(*start);
            self.questions.ask(&self.runtime, &self.page);
        }
        starts
    }

    /// Every symbol's bar of a minute, within a second.
    fn send_minute(&self, start: Millis) {
        let frames = (self.symbols as usize).div_ceil(FRAME);
        let begun = Instant::now();
        for frame in 0..frames {
            let symbols = (frame * FRAME) as i64..((frame + 1) * FRAME).min(self.symbols as usize) as i64;
            self.feed.bars(&symbols.map(|symbol| bar(symbol, start)).collect::<Vec<_>>());
            let due = Duration::from_secs(1) * frame as u32 / frames as u32;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }

    /// What the feed of the pipeline itself sends besides: bars again, bars of other
    /// centuries, and what is no bar.
    fn send_lies(&self, start: Millis) {
        let some = || (0..100).map(|symbol| bar(symbol, start));
        self.feed.bars(&some().collect::<Vec<_>>());
        for other in [start + 90_000 * DAY, start - 9 * DAY] {
            self.feed.bars(&some().map(|bar| MinuteBar { start: other, ..bar }).collect::<Vec<_>>());
        }
        self.feed.text(garbage(100));
    }

    /// How many points of a measurement there are at a time.
    fn points(&self, measurement: &str, field: &str, at: Millis) -> i64 {
        let flux = format!(
            r#"from(bucket: "events") |> range(start: {}, stop: {}) |> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}") |> group() |> count()"#,
            rfc3339(at),
            rfc3339(at + 1)
        );
        let answer = self.runtime.block_on(self.influxd.query(&flux));
        columns(&answer, &["_value"]).first().map_or(0, |row| row[0].parse().unwrap())
    }

    fn windows(&self, end: Millis) -> i64 {
        self.points("volatility", "bars", end)
    }

    /// Whether the bars of a minute and its windows are there.
    fn has(&self, start: Millis) -> bool {
        let bars = self.points("stock_prices", "close", start);
        bars >= self.symbols && self.windows(start + MINUTE) >= self.symbols
    }

    /// What the producer's feed brought that was not taken, by its own count.
    fn counted(&self, log: &KafkaLog) -> BTreeMap<String, u64> {
        let mut last = BTreeMap::new();
        let take = |record: log::Record| {
            let said: ServiceStatus = serde_json::from_slice(&record.value).unwrap();
            if said.service == Service::Producer.name() {
                last = said.counts;
            }
        };
        self.runtime.block_on(each_record(log, &SERVICE_STATUS, take)).unwrap();
        last
    }

    /// How often each bar was written, of those that were sent; and how many others.
    fn written(&self, starts: &[Millis]) -> Written {
        let mut times = vec![0_u8; starts.len() * self.symbols as usize];
        let mut others = 0;
        let take = |record: log::Record| {
            let bar: Bar = serde_json::from_slice(&record.value).unwrap();
            if bar.is_heartbeat() {
                return;
            }
            let symbol: Option<usize> = bar.symbol.strip_prefix('S').and_then(|number| number.parse().ok());
            let minute = starts.iter().position(|start| *start == bar.start_timestamp);
            match (symbol.filter(|symbol| (*symbol as i64) < self.symbols), minute) {
                (Some(symbol), Some(minute)) => times[minute * self.symbols as usize + symbol] += 1,
                _ => others += 1,
            }
        };
        self.runtime.block_on(each_record(&self.log, &STOCK_PRICES, take)).unwrap();
        let (mut lost, mut twice) = (0, 0);
        for times in times {
            lost += u64::from(times == 0);
            twice += u64::from(times > 1);
        }
        Written { lost, twice, others }
    }

    /// How many bars are stored with their price, are not, and were not sent.
    fn stored(&self, starts: &[Millis]) -> (u64, u64, u64) {
        let (mut right, mut lost, mut others) = (0, 0, 0);
        for start in starts {
            let flux = format!(
                r#"from(bucket: "events") |> range(start: {}, stop: {}) |> filter(fn: (r) => r._measurement == "stock_prices" and r._field == "close") |> keep(columns: ["symbol", "_value"]) |> group()"#,
                rfc3339(*start),
                rfc3339(start + MINUTE)
            );
            let answer = self.runtime.block_on(self.influxd.query(&flux));
            let rows = columns(&answer, &["symbol", "_value"]);
            let mut found: BTreeMap<&str, f64> =
                rows.iter().map(|row| (row[0], row[1].parse().unwrap())).collect();
            others += (rows.len() - found.len()) as u64;
            for bar in (0..self.symbols).map(|symbol| bar(symbol, *start)) {
                match found.remove(bar.symbol.as_str()) {
                    Some(close) if close == bar.prices[3] => right += 1,
                    _ => lost += 1,
                }
            }
            others += found.keys().filter(|symbol| !symbol.starts_with('~')).count() as u64;
        }
        (right, lost, others)
    }
}

/// Of the bars that were sent.
struct Written {
    lost: u64,
    twice: u64,
    others: u64,
}

/// Services that take live prices of a feed, over a Kafka.
fn sandbox(kafka: &Kafka, feed: &Feed, history: &History) -> Sandbox {
    Sandbox::new()
        .with("TICKWIRE_LOG", "kafka")
        .with("TICKWIRE_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers())
        .with("TICKWIRE_KAFKA__PARTITIONS", "2")
        .with("TICKWIRE_PRICES", "polygon")
        .with("TICKWIRE_NEWS", "none")
        .with("TICKWIRE_POLYGON__WEBSOCKET_URL", feed.url())
        .with("TICKWIRE_POLYGON__REST_URL", history.url())
        .with("TICKWIRE_POLYGON__FEED_DELAY", "0")
        .with("TICKWIRE_POLYGON__API_KEY", KEY)
        .with("TICKWIRE_METRICS__LISTEN", "127.0.0.1:0")
}

/// Columns of an annotated CSV of one table.
fn columns<'a>(answer: &'a str, names: &[&str]) -> Vec<Vec<&'a str>> {
    let mut lines = answer.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(header) = lines.next() else { return Vec::new() };
    let header: Vec<&str> = header.split(',').collect();
    let at: Vec<usize> =
        names.iter().map(|name| header.iter().position(|column| column == name).unwrap()).collect();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            at.iter().map(|at| cells[*at]).collect()
        })
        .collect()
}

/// What is usual in a part of the time: the median, because a question of Explore
/// that is at work for a second is no growth.
fn usual(memory: &[(f64, u64)], from: f64, to: f64) -> u64 {
    let mut within: Vec<u64> =
        memory.iter().filter(|(at, _)| (from..=to).contains(at)).map(|(_, bytes)| *bytes).collect();
    within.sort_unstable();
    within.get(within.len() / 2).copied().unwrap_or_default()
}

/// The most in a part of the time.
fn most(memory: &[(f64, u64)], from: f64, to: f64) -> u64 {
    let within = memory.iter().filter(|(at, _)| (from..=to).contains(at));
    within.map(|(_, bytes)| *bytes).max().unwrap_or_default()
}

#[test]
#[ignore = "takes an hour, root and memory cgroups: cargo test --test faults -- --ignored --nocapture an_hour"]
fn an_hour_of_four_markets_stays_within_the_memory_of_compose_and_loses_nothing() {
    let Some(mut hour) = Hour::start() else { return };
    let starts = hour.send();
    let (sent, over) = (Instant::now(), hour.begun.elapsed().as_secs_f64());
    let all = hour.symbols * starts.len() as i64;
    let last = *starts.last().unwrap();
    while !hour.has(last) && sent.elapsed() < CATCHES_UP {
        std::thread::sleep(Duration::from_secs(2));
    }
    let caught_up = sent.elapsed();
    let windows: i64 = starts.iter().map(|start| hour.windows(start + MINUTE)).sum();
    let everybody = |seen: &[Seen]| seen.iter().all(|seen| seen.bars.len() == starts.len());
    while !everybody(&hour.viewers.seen()) && sent.elapsed() < CATCHES_UP {
        std::thread::sleep(Duration::from_secs(1));
    }
    let seen = hour.viewers.seen();
    let written = hour.written(&starts);
    let (right, lost, others) = hour.stored(&starts);
    let own = hour.counted(&hour.log);
    let beside = hour.counted(&hour.beside);
    let plain = limits(PLAIN).map(|(limits, _)| limits).unwrap_or_default();

    let mut faults = Vec::new();
    let mut text = format!(
        "| service | limit | limit of the plain form | usual memory, {:.0}–{:.0} min | last {:.0} min | most | most, with files | limit reached | killed for memory | ended |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        over / 12.0 / 60.0,
        over / 4.0 / 60.0,
        over / 6.0 / 60.0
    );
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let ended: Vec<String> = hour
        .running
        .iter_mut()
        .filter_map(|(name, running)| running.has_ended().map(|_| name.clone()))
        .collect();
    for (name, held) in &*hour.watch.0.lock().unwrap() {
        let (first, last) = ((over / 12.0, over / 4.0), (over * 5.0 / 6.0, over));
        let early = usual(&held.memory, first.0, first.1);
        let late = usual(&held.memory, last.0, last.1);
        let peak = most(&held.memory, 0.0, over);
        let there = held.group.processes();
        let gone = held.processes.iter().filter(|process| !there.contains(process)).count()
            + usize::from(ended.contains(name));
        let killed = held.group.killed();
        let plain = plain.get(name.split(' ').next().unwrap()).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {killed} | {gone} |",
            mib(held.limit),
            mib(plain),
            mib(early),
            mib(late),
            mib(peak),
            mib(held.group.most()),
            held.group.hits()
        );
        let (each, minutes) = by_design(name);
        // From the middle of the first part to the end, as far as it is not full before.
        let more = (over / 60.0).min(minutes as f64) - over / 6.0 / 60.0;
        let grows = each * (more.max(0.0) * hour.symbols as f64) as u64;
        let bound = early + early * MARGIN / 100 + WARM + grows;
        // Java and Go fill the heap that they may have: their limit is enough.
        if OURS.contains(&name.as_str()) && late > bound {
            faults.push(format!("{name} goes on growing: {} MiB after {}", mib(late), mib(early)));
        }
        if killed > 0 || gone > 0 {
            faults.push(format!("{name}: {killed} killed for memory, {gone} ended"));
        }
    }
    let served: usize = seen.iter().map(|seen| seen.bars.values().filter(|times| **times == 1).count()).sum();
    let times: usize = seen.iter().map(|seen| seen.bars.values().sum::<usize>()).sum();
    let opened: usize = seen.iter().map(|seen| seen.opened).sum();
    let resets: usize = seen.iter().map(|seen| seen.resets).sum();
    let bytes: u64 = seen.iter().map(|seen| seen.bytes).sum();
    let wanted = seen.len() * starts.len();
    let count = |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).copied().unwrap_or_default();
    let refused = ["rejected", "unkept", "unasked", "beyond_limit", "repeats"];
    let told = |counts: &BTreeMap<String, u64>| {
        refused.map(|name| format!("{name} {}", count(counts, name))).join(", ")
    };
    let questions = hour.questions.ended();
    let rows = [
        ("bars issued", format!("{all}, {} symbols for {} minutes", hour.symbols, starts.len())),
        ("of them in the log never, more than once", format!("{}, {}", written.lost, written.twice)),
        ("other bars in the log", written.others.to_string()),
        ("stored right, not stored, others", format!("{right}, {lost}, {others}")),
        ("windows of volatility stored", format!("{windows} of {all}")),
        ("all of it stored after the last bar", format!("{:.0} s", caught_up.as_secs_f64())),
        ("viewers", seen.len().to_string()),
        ("bars that they were to see, saw once, saw in all", format!("{wanted}, {served}, {times}")),
        ("streams opened, resets, MiB sent", format!("{opened}, {resets}, {}", bytes >> 20)),
        ("questions that eat memory, by their end", format!("{questions:?}")),
        ("refused of the feed", told(&own)),
        ("refused beside", told(&beside)),
        (
            "floods beside, connections, bars taken",
            format!(
                "{}, {}, {}",
                hour.floods.load(Ordering::Relaxed),
                count(&beside, "connections"),
                count(&beside, "bars")
            ),
        ),
    ];
    text += "\n| what | figure |\n| --- | --- |\n";
    for (what, figure) in rows {
        let _ = writeln!(text, "| {what} | {figure} |");
    }
    // Not `println!`, which the test runner keeps to itself.
    let _ = std::io::stderr().write_all(text.as_bytes());

    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((written.lost, written.twice, written.others), (0, 0, 0));
    assert_eq!((right, lost, others), (all as u64, 0, 0));
    assert_eq!(windows, all, "windows of volatility");
    assert_eq!((served, times, resets), (wanted, wanted, 0), "bars that viewers saw");
    assert!(count(&own, "rejected") >= 300 * starts.len() as u64, "{own:?}");
    // The last flood may not have come through.
    let floods = hour.floods.load(Ordering::Relaxed);
    assert!(floods > 1 && count(&beside, "unasked") >= UNASKED * (floods - 1), "{beside:?}");
    assert!(count(&beside, "rejected") >= GARBAGE as u64 * (floods - 1), "{beside:?}");
    assert!(questions.keys().all(|end| end.ends_with("for its memory")), "{questions:?}");
}
