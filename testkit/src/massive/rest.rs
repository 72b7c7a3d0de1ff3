//! The REST history of minute bars.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::MinuteBar;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The ticker.
    pub symbol: String,
    /// The first requested start, epoch milliseconds.
    pub from: i64,
    /// The last requested start, epoch milliseconds.
    pub to: i64,
    /// The key in the `Authorization` header.
    pub bearer: Option<String>,
    /// The parameters of the query string.
    pub query: BTreeMap<String, String>,
}

/// The kind of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The regular response; used to delay a later one in the queue.
    Usual,
    /// A status with a body and optionally `Retry-After`.
    Status(u16, String, Option<u32>),
    /// A truncated body.
    Cut,
    /// A body without end.
    Endless,
    /// The regular response, whose next page is itself.
    Loops,
    /// The regular response, but for this ticker.
    About(String),
    /// No response.
    Hangs,
}

impl Answer {
    /// The response to an unknown key.
    pub fn unknown_key() -> Answer {
        Answer::Status(401, r#"{"status":"ERROR","request_id":"r","error":"Unknown API Key"}"#.into(), None)
    }

    /// The response if the plan does not include the data.
    pub fn not_entitled() -> Answer {
        let body = json!({
            "status": "NOT_AUTHORIZED", "request_id": "r",
            "message": "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing",
        });
        Answer::Status(403, body.to_string(), None)
    }

    /// The response beyond the quota, with or without a body.
    pub fn over_quota(body: bool) -> Answer {
        let said = json!({
            "status": "ERROR", "request_id": "r",
            "error": "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue.",
        });
        Answer::Status(429, if body { said.to_string() } else { String::new() }, None)
    }
}

/// A running history, stopped on drop.
pub struct History {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: JoinHandle<()>,
}

struct Shared {
    origin: String,
    key: String,
    bars: BTreeMap<String, BTreeMap<i64, MinuteBar>>,
    /// The number of bars on a page.
    page: usize,
    status: String,
    /// The origin of `next_url`, if it is another one.
    next_origin: Option<String>,
    answers: VecDeque<Answer>,
    always: Option<Answer>,
    calls: Vec<Call>,
}

impl History {
    /// Starts a history without bars on a free port.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(key: &str) -> History {
        History::start_at("127.0.0.1:0", key).await
    }

    /// As [`History::start`], at a given address.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start_at(address: &str, key: &str) -> History {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port has an address");
        let shared = Arc::new(Mutex::new(Shared {
            origin: format!("http://{address}"),
            key: key.to_owned(),
            bars: BTreeMap::new(),
            page: usize::MAX,
            status: "OK".into(),
            next_origin: None,
            answers: VecDeque::new(),
            always: None,
            calls: Vec::new(),
        }));
        let router = Router::new()
            .route("/v2/aggs/ticker/{ticker}/range/1/minute/{from}/{to}", get(aggregates))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        History { address, shared, serving }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds bars; one with the same symbol and start replaces the earlier one.
    pub fn add(&self, bars: &[MinuteBar]) {
        let mut shared = self.shared();
        for bar in bars {
            shared.bars.entry(bar.symbol.clone()).or_default().insert(bar.start, bar.clone());
        }
    }

    /// Sets the number of bars on a page.
    pub fn page(&self, page: usize) {
        self.shared().page = page;
    }

    /// Sets the status of successful responses: `OK`, or `DELAYED` on a delayed plan.
    pub fn status(&self, status: &str) {
        self.shared().status = status.into();
    }

    /// Lets `next_url` refer to another origin.
    pub fn lead_away(&self, origin: &str) {
        self.shared().next_origin = Some(origin.into());
    }

    /// Queues the next responses.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared().answers.extend(answers);
    }

    /// Sets every response from now on, until it is called with `None`.
    pub fn always(&self, answer: Option<Answer>) {
        self.shared().always = answer;
    }

    /// All requests so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared().calls.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn aggregates(
    State(shared): State<Arc<Mutex<Shared>>>,
    Path((symbol, from, to)): Path<(String, i64, i64)>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let answer =
        shared.lock().unwrap_or_else(PoisonError::into_inner).aggregates(&symbol, from, to, query, &headers);
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

impl Shared {
    /// The response to a request; `None` for no response.
    fn aggregates(
        &mut self,
        symbol: &str,
        from: i64,
        to: i64,
        query: BTreeMap<String, String>,
        headers: &HeaderMap,
    ) -> Option<Response> {
        let shared = self;
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
        let authorized = bearer.as_ref().or(query.get("apiKey")) == Some(&shared.key);
        let cursor = query.get("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(from);
        shared.calls.push(Call { symbol: symbol.to_owned(), from, to, bearer, query });
        let answer = shared.answers.pop_front().or(shared.always.clone()).unwrap_or(Answer::Usual);
        Some(match answer {
            Answer::Hangs => return None,
            Answer::Usual if !authorized => respond(&Answer::unknown_key()),
            Answer::Usual => axum::Json(shared.usual(symbol, cursor, from, to)).into_response(),
            Answer::Loops => {
                let mut body = shared.usual(symbol, cursor, from, to);
                let path = format!("/v2/aggs/ticker/{symbol}/range/1/minute/{from}/{to}?cursor={cursor}");
                body["next_url"] = format!("{}{path}", shared.origin).into();
                axum::Json(body).into_response()
            }
            Answer::About(ticker) => {
                let mut body = shared.usual(symbol, cursor, from, to);
                body["ticker"] = ticker.into();
                axum::Json(body).into_response()
            }
            other => respond(&other),
        })
    }

    fn usual(&self, symbol: &str, cursor: i64, from: i64, to: i64) -> Value {
        let bars = self.bars.get(symbol);
        let wanted: Vec<_> = bars.into_iter().flat_map(|bars| bars.range(cursor..=to.max(cursor))).collect();
        let page: Vec<Value> = wanted.iter().take(self.page).map(|(_, bar)| bar.result()).collect();
        let mut body = json!({
            "ticker": symbol, "status": self.status, "adjusted": false, "queryCount": page.len(),
            "resultsCount": page.len(), "request_id": "r",
        });
        if let Some((next, _)) = wanted.get(self.page) {
            let origin = self.next_origin.as_ref().unwrap_or(&self.origin);
            let path = format!("/v2/aggs/ticker/{symbol}/range/1/minute/{from}/{to}?cursor={next}");
            body["next_url"] = format!("{origin}{path}").into();
        }
        // An empty range has no field `results`.
        if !page.is_empty() {
            body["results"] = page.into();
        }
        body
    }
}

fn respond(answer: &Answer) -> Response {
    match answer {
        Answer::Status(code, body, retry_after) => {
            let mut headers = HeaderMap::new();
            if let Some(seconds) = retry_after {
                headers.insert("retry-after", (*seconds).into());
            }
            let code = StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (code, headers, body.clone()).into_response()
        }
        Answer::Endless => {
            let blanks = Bytes::from(vec![b' '; 1 << 20]);
            let blanks = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(blanks.clone()));
            Body::from_stream(blanks).into_response()
        }
        _ => (StatusCode::OK, r#"{"status":"OK","results":[{"o":1"#).into_response(),
    }
}
