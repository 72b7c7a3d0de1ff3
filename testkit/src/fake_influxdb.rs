//! A stand-in for InfluxDB: tokens kept as hashes as from version 2.9 on, buckets, and answers
//! given by the test.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::task::AbortHandle;

/// The administrator's token.
pub const ADMIN: &str = "the-token-of-the-administrator";
/// The id of every bucket.
pub const BUCKET: &str = "00000000000000b1";
const ORG: &str = "00000000000000a1";

#[derive(Default)]
struct Held {
    /// The tokens as created, with their texts.
    tokens: Vec<Value>,
    made: usize,
    shows_tokens: bool,
    retention_seconds: u64,
    /// How many of the next bucket lists fail, and with which status.
    failing: (usize, u16),
    bucket_lists: usize,
    /// Answers to queries that contain a text.
    answers: Vec<(String, String)>,
    written: Vec<String>,
}

/// The server, stopped on drop.
pub struct FakeInfluxdb {
    /// The base URL.
    pub url: String,
    held: Arc<Mutex<Held>>,
    task: AbortHandle,
}

impl Drop for FakeInfluxdb {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = State<Arc<Mutex<Held>>>;

impl FakeInfluxdb {
    /// Starts a server that is set up and keeps hashes of tokens.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start() -> FakeInfluxdb {
        let held = Arc::<Mutex<Held>>::default();
        let router = Router::new()
            .route("/api/v2/setup", get(async || Json(json!({"allowed": false}))))
            .route("/api/v2/orgs", get(async || Json(json!({"orgs": [{"id": ORG, "name": "tickwire"}]}))))
            .route("/api/v2/buckets", get(buckets))
            .route("/api/v2/buckets/{id}", get(bucket).patch(async || Json(json!({"id": BUCKET}))))
            .route("/api/v2/authorizations", get(tokens).post(new_token))
            .route("/api/v2/authorizations/{id}", delete(remove_token))
            .route("/api/v2/query", post(query))
            .route("/api/v2/write", post(write))
            .with_state(held.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        FakeInfluxdb { url, held, task: task.abort_handle() }
    }

    /// Sets whether lists contain the texts of tokens, as before version 2.9.
    pub fn show_tokens(&self, shown: bool) {
        self.held().shows_tokens = shown;
    }

    /// Sets the retention of the bucket in seconds; 0 is unlimited.
    pub fn keep_for(&self, seconds: u64) {
        self.held().retention_seconds = seconds;
    }

    /// Lets the next `times` lists of buckets fail with a status.
    pub fn refuse_buckets(&self, times: usize, status: u16) {
        self.held().failing = (times, status);
    }

    /// How often buckets were listed.
    pub fn bucket_lists(&self) -> usize {
        self.held().bucket_lists
    }

    /// Sets the answer to queries that contain `text`, as annotated CSV; other queries return
    /// no records.
    pub fn answer(&self, text: &str, csv: &str) {
        self.held().answers.push((text.to_owned(), csv.to_owned()));
    }

    /// The lines of all writes.
    pub fn written(&self) -> String {
        self.held().written.concat()
    }

    /// Whether the server has this token.
    pub fn knows(&self, token: &str) -> bool {
        self.held().tokens.iter().any(|known| known["token"] == token)
    }

    /// The number of tokens without the administrator's.
    pub fn tokens(&self) -> usize {
        self.held().tokens.len()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        locked(&self.held)
    }
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({"code": "refused", "message": "the test says so"}))).into_response()
}

async fn buckets(State(held): Shared) -> Response {
    let mut held = locked(&held);
    held.bucket_lists += 1;
    if held.failing.0 > 0 {
        held.failing.0 -= 1;
        return refusal(held.failing.1);
    }
    let rules = json!([{"type": "expire", "everySeconds": held.retention_seconds}]);
    Json(json!({"buckets": [{"id": BUCKET, "orgID": ORG, "name": "events", "retentionRules": rules}]}))
        .into_response()
}

async fn bucket(State(held): Shared, headers: HeaderMap) -> Response {
    let given = headers.get("authorization").and_then(|given| given.to_str().ok()).unwrap_or_default();
    let given = given.strip_prefix("Token ").unwrap_or_default();
    match given == ADMIN || locked(&held).tokens.iter().any(|known| known["token"] == given) {
        true => {
            Json(json!({"id": BUCKET, "orgID": ORG, "name": "events", "retentionRules": []})).into_response()
        }
        false => refusal(401),
    }
}

async fn tokens(State(held): Shared) -> Json<Value> {
    let held = locked(&held);
    let shown = |token: &Value| {
        let mut token = token.clone();
        if !held.shows_tokens {
            token.as_object_mut().map(|token| token.remove("token"));
        }
        token
    };
    Json(json!({"authorizations": held.tokens.iter().map(shown).collect::<Vec<_>>()}))
}

async fn new_token(State(held): Shared, body: String) -> (StatusCode, Json<Value>) {
    let mut asked: Value = serde_json::from_str(&body).unwrap_or_default();
    let mut held = locked(&held);
    held.made += 1;
    asked["id"] = format!("{:016x}", held.made).into();
    asked["token"] = format!("{:=>88}", held.made).into();
    asked["userID"] = "00000000000000c1".into();
    asked["status"] = "active".into();
    held.tokens.push(asked.clone());
    (StatusCode::CREATED, Json(asked))
}

async fn remove_token(State(held): Shared, Path(id): Path<String>) -> StatusCode {
    locked(&held).tokens.retain(|known| known["id"] != id.as_str());
    StatusCode::NO_CONTENT
}

async fn query(State(held): Shared, Json(asked): Json<Value>) -> String {
    let flux = asked["query"].as_str().unwrap_or_default().to_owned();
    let held = locked(&held);
    let answer = held.answers.iter().rev().find(|(text, _)| flux.contains(text));
    answer.map_or_else(|| "\r\n".to_owned(), |(_, csv)| csv.clone())
}

async fn write(State(held): Shared, lines: String) -> StatusCode {
    locked(&held).written.push(lines);
    StatusCode::NO_CONTENT
}
