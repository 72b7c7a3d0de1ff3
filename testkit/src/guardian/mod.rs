//! The Guardian's Content API: `/search` over stories that a test changes
//! while it runs, with the refusals and faults seen in the wild.

mod answer;
mod search;
mod story;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use tokio::task::AbortHandle;

pub use story::Story;

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
        (now, fault, search::search(&api.stories, &parameters, api.deepest))
    };
    match fault {
        Some(fault) => answer::fault(fault, now).await,
        None => answer::found(found, &parameters, now),
    }
}
