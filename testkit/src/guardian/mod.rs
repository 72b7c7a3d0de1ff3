//! The Guardian's Content API: `/search` over stories that a test changes
//! while it runs, with the refusals and faults seen in the wild.

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

/// What a call is answered with instead of what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, with or without the seconds to wait in `Retry-After`.
    TooManyCalls {
        /// The header's seconds.
        retry_after: Option<u64>,
    },
    /// 401 in the gateway's shape.
    Unauthorized,
    /// Another status, with a body that says so in the API's shape.
    Status(u16),
    /// No answer, ever.
    Hang,
    /// 200 with a web page for a body.
    NotJson,
    /// The connection is cut within the body.
    CutOff,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When, by the server's clock, in epoch milliseconds.
    pub at: i64,
    /// What was asked for, without the key.
    pub parameters: BTreeMap<String, String>,
    /// The fault it met, if any.
    pub fault: Option<Fault>,
}

impl Call {
    /// One parameter, or nothing.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

/// A change that is made right before a call is answered.
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

/// A running server; it ends with this.
pub struct Guardian {
    url: String,
    newsroom: Newsroom,
    task: AbortHandle,
}

/// Where stories are published and calls are seen; reached through the server
/// as well, and of use where the server cannot go.
#[derive(Clone)]
pub struct Newsroom(Arc<Mutex<Api>>);

impl Deref for Guardian {
    type Target = Newsroom;

    fn deref(&self) -> &Newsroom {
        &self.newsroom
    }
}

impl Guardian {
    /// Serves the holder of `key` on a free port, by the clock `now` (epoch milliseconds).
    ///
    /// # Panics
    /// When no port can be listened at.
    pub async fn start(key: &str, now: impl Fn() -> i64 + Send + Sync + 'static) -> Guardian {
        Guardian::start_at("127.0.0.1:0", key, now).await
    }

    /// The same at an address of one's own.
    ///
    /// # Panics
    /// When nothing can be listened at there.
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

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its newsroom, to keep elsewhere.
    pub fn newsroom(&self) -> Newsroom {
        self.newsroom.clone()
    }
}

impl Newsroom {
    /// Publishes a story, or puts it in the place of the one with its identity.
    pub fn publish(&self, story: Story) {
        let mut api = self.api();
        match api.stories.iter_mut().find(|known| known.id == story.id) {
            Some(known) => *known = story,
            None => api.stories.push(story),
        }
    }

    /// Changes a story and stamps the change `at`.
    ///
    /// # Panics
    /// When there is no such story.
    pub fn edit(&self, id: &str, at: i64, change: impl FnOnce(&mut Story)) {
        let mut api = self.api();
        let story = api.stories.iter_mut().find(|story| story.id == id).expect("the story is published");
        change(story);
        story.modified = at;
    }

    /// Takes a story down.
    pub fn take_down(&self, id: &str) {
        self.api().stories.retain(|story| story.id != id);
    }

    /// What is published now.
    pub fn stories(&self) -> Vec<Story> {
        self.api().stories.clone()
    }

    /// The next call that has none waiting before it meets `fault`.
    pub fn fail_next(&self, fault: Fault) {
        self.api().faults.push_back(fault);
    }

    /// Every call for `q` meets `fault`, until told otherwise.
    pub fn fail_for(&self, q: &str, fault: Option<Fault>) {
        let mut api = self.api();
        match fault {
            Some(fault) => api.faults_of.insert(q.into(), fault),
            None => api.faults_of.remove(q),
        };
    }

    /// Takes back every fault that has not been met.
    pub fn fail_no_more(&self) {
        let mut api = self.api();
        api.faults.clear();
        api.faults_of.clear();
    }

    /// Right before call number `call` (from 0) is answered, the stories change.
    pub fn change_before(&self, call: usize, change: impl FnOnce(&mut Vec<Story>) + Send + 'static) {
        self.api().changes.insert(call, Box::new(change));
    }

    /// Pages that begin at or beyond so many results are refused.
    pub fn refuse_paging_beyond(&self, results: usize) {
        self.api().deepest = results;
    }

    /// The calls so far, in their order.
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

// The answers: the envelope, both shapes of refusal, and what is no answer at all.

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

/// A refusal in the API's own shape.
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

// `/search`: which stories a query finds, in which order, and on which page.

/// A page of what was found.
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

/// Answers `parameters`, or says why not in the words of the API.
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
        // Whole seconds, as shown.
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

/// Words and "exact phrases" with OR and AND between them; words side by side must all be there.
fn matches(q: &str, story: &Story) -> bool {
    let text = format!("{} {}", story.headline, story.trail_text).to_lowercase();
    let holds = |phrase: &str| match phrase.trim().strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
        Some(exact) => text.contains(&exact.to_lowercase()),
        None => phrase.split_whitespace().all(|word| text.contains(&word.to_lowercase())),
    };
    q.split(" OR ").any(|alternative| alternative.split(" AND ").all(holds))
}

// A story, and how the API shows it.

/// A story as the newsroom has it; times in epoch milliseconds, of which whole seconds are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Stable over edits: its path.
    pub id: String,
    /// article, liveblog …
    pub kind: String,
    /// The section's identity.
    pub section: String,
    /// The headline; may hold markup.
    pub headline: String,
    /// The sentence below it; holds markup.
    pub trail_text: String,
    /// Last publication, which may move.
    pub published: i64,
    /// Last modification.
    pub modified: i64,
    /// Replaces or, with null, takes away what a result would hold.
    pub result: BTreeMap<String, Value>,
}

impl Story {
    /// A story on business, published and last modified `at`.
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

    /// The same in another section.
    pub fn in_section(self, section: &str) -> Story {
        Story { section: section.into(), ..self }
    }

    /// A result with the `fields` that were asked for.
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
