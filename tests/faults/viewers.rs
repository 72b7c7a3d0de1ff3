//! Many who watch the live page, each a symbol, and count what they are sent.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

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
