//! A stand-in for the Guardian's Content API: `/search` over stories that a test changes while
//! it runs, with the errors and faults seen in practice.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, NaiveDate, SecondsFormat};
use serde_json::{Map, Value, json};
use tokio::task::AbortHandle;

/// A fault with which a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Status 429, with or without `Retry-After`.
    TooManyCalls {
        /// The header's value in seconds.
        retry_after: Option<u64>,
    },
    /// Status 401 in the format of the gateway.
    Unauthorized,
    /// Another status, with an error in the API's format.
    Status(u16),
    /// No response.
    Hang,
    /// Status 200 with a web page as the body.
    NotJson,
    /// The connection is closed within the body.
    CutOff,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The time by the server's clock, in epoch milliseconds.
    pub at: i64,
    /// The parameters, without the key.
    pub parameters: BTreeMap<String, String>,
    /// The fault with which it was answered.
    pub fault: Option<Fault>,
}

impl Call {
    /// One parameter; empty if it was not given.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

/// A change of the stories right before a call is answered.
type Change = Box<dyn FnOnce(&mut Vec<Story>) + Send>;

struct Api {
    key: String,
    now: Box<dyn Fn() -> i64 + Send + Sync>,
    deepest: usize,
    stories: Vec<Story>,
    faults: VecDeque<Fault>,
    faults_of: BTreeMap<String, Fault>,
    changes: BTreeMap<usize, Change>,
    calls: Vec<Call>,
}

/// A running server, stopped on drop.
pub struct Guardian {
    url: String,
    newsroom: Newsroom,
    task: AbortHandle,
}

/// The stories and the calls of a server; usable without the server.
#[derive(Clone)]
pub struct Newsroom(Arc<Mutex<Api>>);

impl Deref for Guardian {
    type Target = Newsroom;

    fn deref(&self) -> &Newsroom {
        &self.newsroom
    }
}

impl Guardian {
    /// Starts a server on a free port that accepts `key` and uses the clock `now` (epoch
    /// milliseconds).
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(key: &str, now: impl Fn() -> i64 + Send + Sync + 'static) -> Guardian {
        Guardian::start_at("127.0.0.1:0", key, now).await
    }

    /// As [`Guardian::start`], at a given address.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start_at(
        address: &str,
        key: &str,
        now: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Guardian {
        let api = Arc::new(Mutex::new(Api {
            key: key.into(),
            now: Box::new(now),
            deepest: 38_000,
            stories: Vec::new(),
            faults: VecDeque::new(),
            faults_of: BTreeMap::new(),
            changes: BTreeMap::new(),
            calls: Vec::new(),
        }));
        let router = Router::new().route("/search", get(serve)).with_state(api.clone());
        let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Guardian { url, newsroom: Newsroom(api), task: task.abort_handle() }
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The stories and calls of this server.
    pub fn newsroom(&self) -> Newsroom {
        self.newsroom.clone()
    }
}

impl Newsroom {
    /// Publishes a story, or replaces the one with the same id.
    pub fn publish(&self, story: Story) {
        let mut api = self.api();
        match api.stories.iter_mut().find(|known| known.id == story.id) {
            Some(known) => *known = story,
            None => api.stories.push(story),
        }
    }

    /// Changes a story and sets its modification time to `at`.
    ///
    /// # Panics
    /// When there is no such story.
    pub fn edit(&self, id: &str, at: i64, change: impl FnOnce(&mut Story)) {
        let mut api = self.api();
        let story = api.stories.iter_mut().find(|story| story.id == id).expect("the story is published");
        change(story);
        story.modified = at;
    }

    /// Removes a story.
    pub fn take_down(&self, id: &str) {
        self.api().stories.retain(|story| story.id != id);
    }

    /// The published stories.
    pub fn stories(&self) -> Vec<Story> {
        self.api().stories.clone()
    }

    /// Lets the next call fail that has no other fault queued before it.
    pub fn fail_next(&self, fault: Fault) {
        self.api().faults.push_back(fault);
    }

    /// Lets every call with the query `q` fail, until it is called with `None`.
    pub fn fail_for(&self, q: &str, fault: Option<Fault>) {
        let mut api = self.api();
        match fault {
            Some(fault) => api.faults_of.insert(q.into(), fault),
            None => api.faults_of.remove(q),
        };
    }

    /// Removes all pending faults.
    pub fn fail_no_more(&self) {
        let mut api = self.api();
        api.faults.clear();
        api.faults_of.clear();
    }

    /// Changes the stories right before the call number `call` (from 0) is answered.
    pub fn change_before(&self, call: usize, change: impl FnOnce(&mut Vec<Story>) + Send + 'static) {
        self.api().changes.insert(call, Box::new(change));
    }

    /// Rejects pages that begin at or beyond this many results.
    pub fn refuse_paging_beyond(&self, results: usize) {
        self.api().deepest = results;
    }

    /// All calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.api().calls.clone()
    }

    fn api(&self) -> MutexGuard<'_, Api> {
        lock(&self.0)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(api: &Mutex<Api>) -> MutexGuard<'_, Api> {
    api.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(State(api): State<Arc<Mutex<Api>>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let mut parameters: BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let key = parameters.remove("api-key");
    let (now, fault, found) = {
        let mut api = lock(&api);
        let now = (api.now)();
        let number = api.calls.len();
        if let Some(change) = api.changes.remove(&number) {
            change(&mut api.stories);
        }
        let allowed = key.as_deref() == Some(&api.key);
        let q = parameters.get("q").map_or("", String::as_str);
        let fault = match allowed {
            true => api.faults.pop_front().or_else(|| api.faults_of.get(q).copied()),
            false => Some(Fault::Unauthorized),
        };
        api.calls.push(Call { at: now, parameters: parameters.clone(), fault });
        (now, fault, search(&api.stories, &parameters, api.deepest))
    };
    match fault {
        Some(fault) => fail(fault, now).await,
        None => found_answer(found, &parameters, now),
    }
}

// The responses: the envelope, the two formats of errors, and the faults.

fn found_answer(page: Result<Page, String>, parameters: &BTreeMap<String, String>, now: i64) -> Response {
    let page = match page {
        Ok(page) => page,
        Err(message) => return refusal(400, &message, now),
    };
    let fields = parameters.get("show-fields").map_or("", String::as_str);
    let results: Vec<Value> = page.stories.iter().map(|story| story.shown(fields)).collect();
    let envelope = json!({"response": {
        "status": "ok",
        "userTier": "developer",
        "total": page.total,
        "startIndex": if page.total == 0 { 0 } else { (page.page - 1) * page.page_size + 1 },
        "pageSize": page.page_size,
        "currentPage": page.page,
        "pages": page.pages(),
        "orderBy": parameters.get("order-by").map_or("relevance", String::as_str),
        "results": results,
    }});
    json_answer(200, &envelope, now)
}

async fn fail(fault: Fault, now: i64) -> Response {
    match fault {
        Fault::TooManyCalls { retry_after } => {
            let mut answer = json_answer(429, &json!({"message": "API rate limit exceeded"}), now);
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            answer
        }
        Fault::Unauthorized => json_answer(401, &json!({"message": "Unauthorized"}), now),
        Fault::Status(status) => refusal(status, "The request could not be served.", now),
        Fault::Hang => std::future::pending().await,
        Fault::NotJson => {
            let page = "<!doctype html><title>Welcome to this hotel</title>";
            answer(200, "text/html", Body::from(page), now)
        }
        Fault::CutOff => {
            let begun = futures::stream::iter([
                Ok(Bytes::from_static(br#"{"response":{"status":"ok","total":1,"#)),
                Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            ]);
            answer(200, "application/json", Body::from_stream(begun), now)
        }
    }
}

/// An error in the API's format.
fn refusal(status: u16, message: &str, now: i64) -> Response {
    json_answer(status, &json!({"response": {"status": "error", "message": message}}), now)
}

fn json_answer(status: u16, value: &Value, now: i64) -> Response {
    answer(status, "application/json", Body::from(value.to_string()), now)
}

fn answer(status: u16, content: &str, body: Body, now: i64) -> Response {
    let date = DateTime::from_timestamp_millis(now).unwrap_or_default();
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content)
        .header(DATE, date.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .body(body)
        .expect("the status and the headers are valid")
}

// `/search`: the stories that a query finds, their order, and their pages.

/// A page of results.
struct Page {
    stories: Vec<Story>,
    total: usize,
    page: usize,
    page_size: usize,
}

impl Page {
    fn pages(&self) -> usize {
        self.total.div_ceil(self.page_size)
    }
}

/// The result for `parameters`, or the API's error message.
fn search(stories: &[Story], parameters: &BTreeMap<String, String>, deepest: usize) -> Result<Page, String> {
    let parameter = |name: &str| parameters.get(name).map(String::as_str);
    let number = |name: &str, default: usize| parameter(name).map_or(Ok(default), str::parse);
    let (Ok(page), Ok(page_size)) = (number("page", 1), number("page-size", 10)) else {
        return Err("page and page-size must be integers".into());
    };
    if page < 1 || !(1..=200).contains(&page_size) {
        return Err("page-size must be an integer between 0 and 200".into());
    }
    let (from, to) = (date(parameter("from-date"), i64::MIN)?, date(parameter("to-date"), i64::MAX)?);
    let time = |story: &Story, by: Option<&str>| match by {
        // Whole seconds, as the API shows them.
        Some("last-modified") => story.modified.div_euclid(1_000) * 1_000,
        _ => story.published.div_euclid(1_000) * 1_000,
    };
    let sections = parameter("section");
    let mut found: Vec<&Story> = stories
        .iter()
        .filter(|story| parameter("q").is_none_or(|q| matches(q, story)))
        .filter(|story| sections.is_none_or(|sections| sections.split('|').any(|id| id == story.section)))
        .filter(|story| (from..=to).contains(&time(story, parameter("use-date"))))
        .collect();
    let order = parameter("order-date").or(parameter("use-date"));
    found.sort_by_key(|story| (time(story, order), story.id.clone()));
    if parameter("order-by") != Some("oldest") {
        found.reverse();
    }
    let first = (page - 1) * page_size;
    if first >= deepest {
        return Err("Content API does not support paging this far. Please change page or page-size or consider filtering using a date range.".into());
    }
    if page > 1 && first >= found.len() {
        return Err("requested page is beyond the number of available pages".into());
    }
    let stories = found.iter().skip(first).take(page_size).map(|story| (*story).clone()).collect();
    Ok(Page { stories, total: found.len(), page, page_size })
}

fn date(text: Option<&str>, default: i64) -> Result<i64, String> {
    let Some(text) = text else { return Ok(default) };
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    match text.parse::<NaiveDate>() {
        Ok(date) => Ok(date.and_time(Default::default()).and_utc().timestamp_millis()),
        Err(_) => Err(format!("The date {text} must be an ISO8601 date or datetime")),
    }
}

/// Whether a story matches a query of words and "exact phrases" with OR and AND; adjacent words
/// must all occur.
fn matches(q: &str, story: &Story) -> bool {
    let text = format!("{} {}", story.headline, story.trail_text).to_lowercase();
    let holds = |phrase: &str| match phrase.trim().strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
        Some(exact) => text.contains(&exact.to_lowercase()),
        None => phrase.split_whitespace().all(|word| text.contains(&word.to_lowercase())),
    };
    q.split(" OR ").any(|alternative| alternative.split(" AND ").all(holds))
}

// A story and its representation in the API.

/// A story; times are epoch milliseconds, of which the API shows whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The path, which does not change with edits.
    pub id: String,
    /// The type, such as article or liveblog.
    pub kind: String,
    /// The section's id.
    pub section: String,
    /// The headline; may contain markup.
    pub headline: String,
    /// The standfirst below it; contains markup.
    pub trail_text: String,
    /// The last publication, which may move.
    pub published: i64,
    /// The last modification.
    pub modified: i64,
    /// Fields that replace those of the result or, with null, remove them.
    pub result: BTreeMap<String, Value>,
}

impl Story {
    /// A business story, published and last modified at `at`.
    pub fn new(id: &str, headline: &str, at: i64) -> Story {
        Story {
            id: id.into(),
            kind: "article".into(),
            section: "business".into(),
            headline: headline.into(),
            trail_text: format!("<strong>More</strong> on this: {headline} &amp; what it means"),
            published: at,
            modified: at,
            result: BTreeMap::new(),
        }
    }

    /// The same story in another section.
    pub fn in_section(self, section: &str) -> Story {
        Story { section: section.into(), ..self }
    }

    /// The result with the requested `fields`.
    fn shown(&self, fields: &str) -> Value {
        let asked = |field: &str| fields == "all" || fields.split(',').any(|name| name.trim() == field);
        let all = [
            ("headline", self.headline.clone()),
            ("trailText", self.trail_text.clone()),
            ("firstPublicationDate", iso(self.published)),
            ("lastModified", iso(self.modified)),
            ("wordcount", "420".into()),
        ];
        let shown: Map<_, _> = all
            .into_iter()
            .filter(|(name, _)| asked(name))
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect();
        let mut result = json!({
            "id": self.id,
            "type": self.kind,
            "sectionId": self.section,
            "sectionName": self.section.to_uppercase(),
            "webPublicationDate": iso(self.published),
            "webTitle": self.headline,
            "webUrl": format!("https://www.theguardian.com/{}", self.id),
            "apiUrl": format!("https://content.guardianapis.com/{}", self.id),
            "isHosted": false,
            "pillarId": "pillar/news",
            "pillarName": "News",
        });
        if !shown.is_empty() {
            result["fields"] = shown.into();
        }
        for (name, value) in &self.result {
            match value {
                Value::Null => result.as_object_mut().map(|result| result.remove(name)),
                value => result.as_object_mut().map(|result| result.insert(name.clone(), value.clone())),
            };
        }
        result
    }
}

fn iso(at: i64) -> String {
    let time = DateTime::from_timestamp_millis(at).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
