//! A server that takes the place of InfluxDB: it counts points, and keeps nothing
//! but the shapes of measurements, which are asked for.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use control::shutdown::{self, Shutdown};
use influxdb_line_protocol::{FieldValue, parse_lines};
use log::SharedLog;
use net::Secret;
use store::{InfluxAddress, InfluxStore};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::{PLAYED, Place};
use crate::figures::{Spent, Stopwatch};

/// Points of this measurement are counted.
const COUNTED: &[u8] = b"stock_prices,";
/// Points of this one are the shapes.
const SHAPES: &str = "tickwire_measurements";

/// It ends with this.
pub struct CountingServer {
    /// Where it answers.
    pub url: String,
    counts: Arc<Counts>,
    task: AbortHandle,
}

#[derive(Default)]
struct Counts {
    lines: AtomicUsize,
    more: Notify,
    /// By name.
    shapes: Mutex<BTreeMap<String, String>>,
}

impl CountingServer {
    pub async fn start() -> anyhow::Result<CountingServer> {
        let counts = Arc::<Counts>::default();
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = axum::serve(listener, router.with_state(counts.clone()));
        let task = tokio::spawn(async move { serving.await });
        Ok(CountingServer { url, counts, task: task.abort_handle() })
    }

    /// How many points have come.
    pub fn lines(&self) -> usize {
        self.counts.lines.load(Ordering::Relaxed)
    }

    /// Waits until so many points have come.
    pub async fn until(&self, lines: usize) {
        loop {
            let more = self.counts.more.notified();
            if self.lines() >= lines {
                return;
            }
            more.await;
        }
    }
}

impl Drop for CountingServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Counts {
    fn keep_shapes(&self, body: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.starts_with(SHAPES))?;
        for line in parse_lines(text).flatten() {
            let Some(FieldValue::String(shape)) = line.field_value("text") else { continue };
            let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
            shapes.insert(line.tag_value("key")?.to_string(), shape.to_string());
        }
        Some(())
    }

    /// The shapes as InfluxDB answers a query.
    fn shapes(&self) -> String {
        let mut table = "#datatype,string,long,dateTime:RFC3339,string,string,string\r\n#group,false,false,false,false,true,true\r\n#default,_result,,,,,\r\n,result,table,_time,_value,_field,key\r\n".to_owned();
        for (name, shape) in &*self.shapes.lock().unwrap_or_else(PoisonError::into_inner) {
            let quoted = shape.replace('"', "\"\"");
            let _ = write!(table, ",,0,2024-01-02T00:00:00Z,\"{quoted}\",text,{name}\r\n");
        }
        table
    }
}

/// Writes are taken; to a question that is not about shapes there is no answer.
async fn answer(State(counts): State<Arc<Counts>>, uri: Uri, body: Bytes) -> Response {
    match uri.path() {
        "/api/v2/write" => {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| line.starts_with(COUNTED)).count();
            counts.lines.fetch_add(lines, Ordering::Relaxed);
            counts.more.notify_waiters();
            counts.keep_shapes(&body);
            StatusCode::NO_CONTENT.into_response()
        }
        "/api/v2/query" if String::from_utf8_lossy(&body).contains(SHAPES) => counts.shapes().into_response(),
        "/api/v2/query" => StatusCode::OK.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

// The sink before a server that only counts.

/// What the sink spends until it has taken what `log` holds: `bars` bars.
pub fn sink(place: &Place, log: SharedLog, bars: usize) -> anyhow::Result<Spent> {
    let server = place.outside.block_on(CountingServer::start())?;
    let store = InfluxStore::new(InfluxAddress {
        url: server.url.parse()?,
        org: "o".into(),
        bucket: "b".into(),
        token: Secret::new("t"),
    })?;
    let (stopper, stop) = shutdown::channel();
    stopper.ask(Shutdown::Drain);
    let watch = Stopwatch::without(PLAYED)?;
    place.product.block_on(sink::run(log, Arc::new(store), Vec::new(), stop))?;
    let spent = watch.stop()?;
    ensure!(server.lines() == bars, "the server got {} points of {bars}", server.lines());
    Ok(spent)
}
