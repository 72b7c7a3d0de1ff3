//! A real InfluxDB behind a proxy that answers writes by a script: it rejects them, does not
//! answer, or loses acknowledgements; all other requests are forwarded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::influxd::Influxd;

/// How a write is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is rejected and nothing is stored.
    Status {
        /// The status.
        status: u16,
        /// The error message.
        message: &'static str,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// The connection is closed and nothing is stored.
    CutOff,
    /// It is stored, and the connection is closed before the acknowledgement.
    Lost,
}

impl Answer {
    /// A rejection without `Retry-After`.
    pub fn status(status: u16, message: &'static str) -> Answer {
        Answer::Status { status, message, retry_after: None }
    }
}

#[derive(Default)]
struct Script {
    /// The answers to the next writes of a measurement.
    next: VecDeque<(&'static str, Answer)>,
    /// The answer to all writes, until it is removed.
    standing: Option<Answer>,
    most_lines: Option<usize>,
    /// The answers to lines that contain a text.
    bad: Vec<(&'static str, Answer)>,
    /// The number of lines of each write.
    writes: Vec<usize>,
}

struct Door {
    server: String,
    script: Mutex<Script>,
    written: Notify,
}

/// The proxy, stopped on drop.
pub struct ScriptedInfluxdb {
    /// The URL for clients.
    pub url: String,
    door: Arc<Door>,
    task: AbortHandle,
}

impl Drop for ScriptedInfluxdb {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedInfluxdb {
    /// Starts a proxy in front of `server`.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn before(server: &Influxd) -> ScriptedInfluxdb {
        let door = Door { server: server.url.clone(), script: Mutex::default(), written: Notify::new() };
        let door = Arc::new(door);
        let router = Router::new().fallback(pass).with_state(door.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        ScriptedInfluxdb { url, door, task: task.abort_handle() }
    }

    /// Sets the answers to the next writes of `measurement`.
    pub fn next(&self, measurement: &'static str, answers: impl IntoIterator<Item = Answer>) {
        self.script().next.extend(answers.into_iter().map(|answer| (measurement, answer)));
    }

    /// Sets the answer to every write, until [`ScriptedInfluxdb::mend`].
    pub fn refuse_all(&self, answer: Answer) {
        self.script().standing = Some(answer);
    }

    /// Lets writes through again.
    pub fn mend(&self) {
        self.script().standing = None;
    }

    /// Rejects writes with more lines.
    pub fn take_at_most(&self, lines: usize) {
        self.script().most_lines = Some(lines);
    }

    /// Always rejects lines that contain `text`.
    pub fn refuse_lines_with(&self, text: &'static str, answer: Answer) {
        self.script().bad.push((text, answer));
    }

    /// The number of lines of each write so far.
    pub fn writes(&self) -> Vec<usize> {
        self.script().writes.clone()
    }

    /// Waits for this many writes.
    pub async fn written(&self, writes: usize) {
        loop {
            let next = self.door.written.notified();
            if self.script().writes.len() >= writes {
                return;
            }
            next.await;
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.door.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let answer = path.starts_with("/api/v2/write").then(|| answer_to(&door, &body)).flatten();
    match answer {
        Some(Answer::Status { status, message, retry_after }) => refusal(status, message, retry_after),
        Some(Answer::CutOff) => cut_off(),
        Some(Answer::Lost) => {
            forward(&door, parts.method, &path, &parts.headers, body).await;
            cut_off()
        }
        None => forward(&door, parts.method, &path, &parts.headers, body).await,
    }
}

/// The scripted answer to a write.
fn answer_to(door: &Door, body: &Bytes) -> Option<Answer> {
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().count();
    let mut script = door.script.lock().unwrap_or_else(PoisonError::into_inner);
    script.writes.push(lines);
    door.written.notify_waiters();
    let next = script.next.iter().position(|(measurement, _)| text.starts_with(measurement));
    if let Some((_, answer)) = next.and_then(|next| script.next.remove(next)) {
        return Some(answer);
    }
    if script.most_lines.is_some_and(|most| lines > most) {
        return Some(Answer::status(413, "the request is too large"));
    }
    let bad = script.bad.iter().find(|(bad, _)| text.contains(bad)).map(|(_, answer)| answer.clone());
    bad.or_else(|| script.standing.clone())
}

async fn forward(door: &Door, method: Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
    let http = net::http().expect("an HTTP client");
    let mut request = http.request(method, format!("{}{path}", door.server));
    for name in [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    match request.body(body).send().await {
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers().clone());
            let kind = headers.get(header::CONTENT_TYPE).cloned();
            let body = answer.bytes().await.unwrap_or_default();
            match kind {
                Some(kind) => (status, [(header::CONTENT_TYPE, kind)], body).into_response(),
                None => (status, body).into_response(),
            }
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn refusal(status: u16, message: &str, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = json!({"code": "refused", "message": message}).to_string();
    match retry_after {
        Some(seconds) => (status, [(header::RETRY_AFTER, seconds.to_string())], body).into_response(),
        None => (status, body).into_response(),
    }
}

/// Ends the connection's task, which closes the connection without a response.
fn cut_off() -> Response {
    std::panic::resume_unwind(Box::new("the connection is cut"))
}
