//! Many who watch the live page at once: how long after its append each sees a
//! bar, and whether the server grows meanwhile.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use control::shutdown::{ShutdownHandle, channel};
use log::{Append, EmbeddedLog, Log, SharedLog};
use model::time::{MINUTE, Millis};
use model::topic::STOCK_PRICES;
use model::{Bar, Source};
use store::{EmbeddedStore, SharedStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use web::Access;

use crate::figures::{Figure, Goal, memory, percentile};

/// Minutes before anything is measured: the server then keeps as many records as it ever will.
const WARM_UP: usize = 90;
/// Symbols in each minute; each viewer looks at one of them.
const SYMBOLS: usize = 50;
/// How long a bar may take before something must be broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first minute that is sent.
const BEGIN: Millis = 1_380_893_400_000;

/// How much of it.
#[derive(Args, Clone, Debug)]
pub struct Wanted {
    /// Who watch at once.
    #[arg(long, default_value_t = 200)]
    viewers: usize,
    /// Minutes of bars, one a second.
    #[arg(long, default_value_t = 120)]
    minutes: usize,
}

/// What came out.
pub struct Answer {
    viewers: usize,
    /// From the append of a minute until each viewer held its bar.
    seen: Vec<Duration>,
    /// Memory of this process, the viewers' ends included, in KiB.
    before: u64,
    after: u64,
}

/// A bar that a viewer has got.
struct Seen {
    start: Millis,
    at: Instant,
}

/// Lets them watch.
pub fn run(wanted: &Wanted) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(watch(wanted))
}

async fn watch(wanted: &Wanted) -> anyhow::Result<Answer> {
    let server = Server::start().await?;
    let (sender, mut seen) = unbounded_channel();
    let mut viewers = JoinSet::new();
    for number in 0..wanted.viewers {
        let stream = open(server.address, &symbol(number % SYMBOLS)).await?;
        viewers.spawn(look(stream, sender.clone()));
    }
    let warm_up = wanted.minutes.min(WARM_UP);
    server.minutes(0..warm_up, wanted.viewers, &mut seen).await?;
    let before = memory()?;
    let times = server.minutes(warm_up..warm_up + wanted.minutes, wanted.viewers, &mut seen).await?;
    let after = memory()?;
    ensure!(times.len() == wanted.viewers * wanted.minutes, "{} bars were seen", times.len());
    Ok(Answer { viewers: wanted.viewers, seen: times, before, after })
}

/// The pages over a log and a store of their own.
struct Server {
    _folder: TempDir,
    _stopper: ShutdownHandle,
    _serving: JoinSet<anyhow::Result<()>>,
    log: Arc<EmbeddedLog>,
    address: SocketAddr,
}

impl Server {
    async fn start() -> anyhow::Result<Server> {
        let folder = tempfile::tempdir()?;
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1)?);
        let store: SharedStore = Arc::new(EmbeddedStore::open(&folder.path().join("store.db"))?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stopper, stop) = channel();
        let shared: SharedLog = log.clone();
        let mut serving = JoinSet::new();
        let pages = web::serve(listener, shared, store, Access::default(), stop);
        serving.spawn(async { Ok(pages.await?) });
        Ok(Server { _folder: folder, _stopper: stopper, _serving: serving, log, address })
    }

    /// Appends minutes, one a second, and waits until each viewer has each.
    async fn minutes(
        &self,
        minutes: std::ops::Range<usize>,
        viewers: usize,
        seen: &mut UnboundedReceiver<Seen>,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(minutes.len() * viewers);
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        for minute in minutes {
            seconds.tick().await;
            let start = BEGIN + minute as Millis * MINUTE;
            let bars = (0..SYMBOLS).map(|number| bar(symbol(number), start));
            let bars = bars.map(|bar| Append::json(STOCK_PRICES, &bar.symbol, &bar)).collect();
            self.log.append(bars).await?;
            let appended = Instant::now();
            for _ in 0..viewers {
                let next = tokio::time::timeout(PATIENCE, seen.recv()).await;
                let next = next.context("a viewer waits in vain")?.context("all viewers have gone")?;
                ensure!(next.start == start, "a bar came twice, or out of order");
                times.push(next.at.saturating_duration_since(appended));
            }
        }
        Ok(times)
    }
}

/// Asks for the stream of a symbol, as a browser does.
async fn open(address: SocketAddr, symbol: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let asked = format!(
        "GET /events?symbol={symbol} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).await?;
    // The first event has come: the viewer watches.
    let mut first = vec![0; 4_096];
    let mut heard = String::new();
    while !heard.contains("event: update") {
        let read = stream.read(&mut first).await?;
        ensure!(read > 0, "the stream of {symbol} was refused: {heard}");
        heard.push_str(&String::from_utf8_lossy(&first[..read]));
    }
    Ok(stream)
}

/// Tells of each bar of the viewer's own symbol, as it comes.
async fn look(mut stream: TcpStream, seen: UnboundedSender<Seen>) -> anyhow::Result<()> {
    const OWN: &str = r#""bars":["#;
    const START: &str = r#""start_timestamp":"#;
    let mut buffer = vec![0; 64 << 10];
    let mut text = String::new();
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let at = Instant::now();
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let Some((_, bars)) = event.split_once(OWN) else { continue };
            let bars = bars.split_once("\"latest\"").map_or(bars, |(bars, _)| bars);
            for start in bars.split(START).skip(1) {
                let digits: String = start.chars().take_while(char::is_ascii_digit).collect();
                let start = digits.parse().context("a bar without a start")?;
                if seen.send(Seen { start, at }).is_err() {
                    return Ok(());
                }
            }
        }
    }
}

fn symbol(number: usize) -> String {
    format!("SYM{number:02}")
}

fn bar(symbol: String, start: Millis) -> Bar {
    Bar {
        symbol,
        open: 100.0,
        high: 101.5,
        low: 99.5,
        close: 101.0,
        vwap: Some(100.4),
        volume: 1_200.0,
        accumulated_volume: None,
        official_open_price: None,
        aggregate_vwap: None,
        average_size: None,
        start_timestamp: start,
        end_timestamp: start + MINUTE,
        otc: None,
        source: Source::Replay,
        received_timestamp: start + MINUTE,
        complete_until: start,
        position: None,
    }
}

impl crate::Answer for Answer {
    fn figures(&self) -> Vec<Figure> {
        let millis = percentile(&self.seen, 0.99).as_secs_f64() * 1e3;
        let grown = (self.after as f64 - self.before as f64) / 1_024.0;
        vec![
            Figure::measured("from the append to 200 viewers, 99th percentile", millis, "ms", Goal::None),
            Figure::measured("the page server grows by", grown, "MiB", Goal::None),
        ]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share| percentile(&self.seen, share).as_millis();
        writeln!(f, "{} viewers, {} bars seen", self.viewers, self.seen.len())?;
        writeln!(
            f,
            "from the append to the viewer: {} ms median, {} ms at the 99th percentile, {} ms slowest",
            at(0.5),
            at(0.99),
            at(1.0)
        )?;
        write!(
            f,
            "memory: {:.1} MiB before, {:.1} MiB after",
            self.before as f64 / 1_024.0,
            self.after as f64 / 1_024.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_viewer_sees_every_bar_of_its_symbol_once() {
        let _alone = crate::ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let answer = run(&Wanted { viewers: 8, minutes: 2 }).unwrap();
        assert_eq!(answer.seen.len(), 16);
        assert!(answer.to_string().contains("8 viewers, 16 bars seen"));
    }
}
