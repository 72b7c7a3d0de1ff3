//! Arroyo's REST API: functions that compile, pipelines that are scheduled,
//! run, fail and stop, with the rules that the real one enforces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

/// A function that was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udf {
    /// Its id.
    pub id: String,
    /// Its group.
    pub prefix: String,
    /// Its name, read from the definition.
    pub name: String,
    /// Its source.
    pub definition: String,
}

/// A pipeline with its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its SQL.
    pub query: String,
    /// Tasks of every operator.
    pub parallelism: u64,
    /// The state of its run.
    pub state: String,
    /// How it was last asked to stop.
    pub stopped_by: Option<String>,
    /// Looks at it until it leaves the state that it is in.
    looks_left: u32,
    next: &'static str,
}

/// How the cluster behaves; a test sets it before or between deployments.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// So many requests are answered with 503 before the cluster is up.
    pub starting: u32,
    /// Looks at a run until it is scheduled, and until it is stopped.
    pub slowness: u32,
    /// A pipeline whose name holds this fails instead of running.
    pub fails: Option<String>,
    /// A query that holds this is refused, with the line where it stands.
    pub refuses: Option<String>,
    /// A function of this name does not compile.
    pub does_not_compile: Option<String>,
    /// A stop with a checkpoint never ends.
    pub checkpoints_hang: bool,
    /// Creating pipelines fails with 500 after this many.
    pub creates_at_most: Option<usize>,
    /// Validation gives bare messages, as versions up to 0.15 do.
    pub bare_messages: bool,
}

#[derive(Default)]
struct Cluster {
    key: Option<String>,
    manner: Manner,
    udfs: Vec<Udf>,
    pipelines: Vec<Pipeline>,
    made: usize,
    changes: Vec<String>,
    together: usize,
}

type Shared = Arc<Mutex<Cluster>>;

/// A running server; it ends with this.
pub struct Arroyo {
    url: String,
    cluster: Shared,
    task: AbortHandle,
}

impl Arroyo {
    /// Serves on a free port, to holders of `key` if there is one.
    ///
    /// # Panics
    /// When no port can be listened at.
    pub async fn start(key: Option<&str>) -> Arroyo {
        let cluster = Arc::new(Mutex::new(Cluster { key: key.map(str::to_owned), ..Cluster::default() }));
        let routes = Router::new()
            .route("/ping", get(async || Json("Pong")))
            .route("/udfs", get(udfs).post(register))
            .route("/udfs/validate", post(compile))
            .route("/udfs/{id}", delete(forget))
            .route("/pipelines", get(pipelines).post(create))
            .route("/pipelines/validate_query", post(check))
            .route("/pipelines/{id}", patch(stop).delete(remove))
            .route("/pipelines/{id}/jobs", get(jobs))
            .route("/pipelines/{id}/restart", post(restart))
            .layer(middleware::from_fn_with_state(cluster.clone(), admit))
            .with_state(cluster.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = Router::new().nest("/api/v1", routes);
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Arroyo { url, cluster, task: task.abort_handle() }
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut lock(&self.cluster).manner);
    }

    /// The functions that are registered.
    pub fn udfs(&self) -> Vec<Udf> {
        lock(&self.cluster).udfs.clone()
    }

    /// The pipelines that there are.
    pub fn pipelines(&self) -> Vec<Pipeline> {
        lock(&self.cluster).pipelines.clone()
    }

    /// A pipeline of somebody else, or left over.
    pub fn add_pipeline(&self, name: &str, query: &str, state: &'static str) {
        let mut cluster = lock(&self.cluster);
        cluster.add(name, query, 1, state, 0);
    }

    /// A function of somebody else.
    pub fn add_udf(&self, prefix: &str, name: &str) {
        let mut cluster = lock(&self.cluster);
        let (id, definition) = (cluster.id("udf"), format!("fn {name}() {{}}"));
        cluster.udfs.push(Udf { id, prefix: prefix.to_owned(), name: name.to_owned(), definition });
    }

    /// Brings a run into another state, as a worker that dies would.
    pub fn bring_into(&self, name: &str, state: &str) {
        let mut cluster = lock(&self.cluster);
        for pipeline in cluster.pipelines.iter_mut().filter(|pipeline| pipeline.name == name) {
            (pipeline.state, pipeline.looks_left) = (state.to_owned(), u32::MAX);
        }
    }

    /// Every change that was asked for, in order, as `verb what`; forgets them.
    pub fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.cluster).changes)
    }

    /// The most pipelines that were on their way to running at the same time.
    pub fn most_starting_together(&self) -> usize {
        lock(&self.cluster).together
    }
}

impl Drop for Arroyo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(cluster: &Shared) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}_{}", self.made)
    }

    fn add(&mut self, name: &str, query: &str, parallelism: u64, state: &str, looks_left: u32) -> String {
        let id = self.id("pl");
        let next = if self.manner.fails.as_ref().is_some_and(|fails| name.contains(fails)) {
            "Failed"
        } else {
            "Running"
        };
        self.pipelines.push(Pipeline {
            id: id.clone(),
            name: name.to_owned(),
            query: query.to_owned(),
            parallelism,
            state: state.to_owned(),
            stopped_by: None,
            looks_left,
            next,
        });
        self.count_starting();
        id
    }

    fn count_starting(&mut self) {
        let starting = self.pipelines.iter().filter(|pipeline| pipeline.state == "Scheduling").count();
        self.together = self.together.max(starting);
    }
}

fn refused(status: StatusCode, said: &str) -> Response {
    (status, Json(json!({ "error": said }))).into_response()
}

async fn admit(State(cluster): State<Shared>, request: Request, next: Next) -> Response {
    {
        let mut cluster = lock(&cluster);
        if cluster.manner.starting > 0 {
            cluster.manner.starting -= 1;
            return refused(StatusCode::SERVICE_UNAVAILABLE, "starting");
        }
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let wanted = cluster.key.as_ref().map(|key| format!("Bearer {key}"));
        if wanted.is_some() && wanted.as_deref() != given {
            return StatusCode::UNAUTHORIZED.into_response();
        }
    }
    next.run(request).await
}

async fn udfs(State(cluster): State<Shared>) -> Json<Value> {
    let list: Vec<_> = lock(&cluster)
        .udfs
        .iter()
        .map(|udf| {
            json!({
                "id": udf.id, "prefix": udf.prefix, "name": udf.name, "language": "rust",
                "definition": udf.definition, "dylib_url": "file:///artifacts/lib.so",
                "created_at": 0, "updated_at": 0, "description": "",
            })
        })
        .collect();
    Json(json!({ "data": list }))
}

#[derive(Deserialize)]
struct Definition {
    #[serde(default)]
    prefix: String,
    definition: String,
}

/// The name of the function that a definition defines.
fn name_of(definition: &str) -> String {
    let (_, rest) = definition.split_once("fn ").unwrap_or(("", ""));
    rest.split('(').next().unwrap_or("").trim().to_owned()
}

async fn compile(State(cluster): State<Shared>, Json(body): Json<Definition>) -> Json<Value> {
    let name = name_of(&body.definition);
    let fails = lock(&cluster).manner.does_not_compile.as_ref() == Some(&name);
    let errors = if fails { vec![format!("error[E0425]: cannot find value in `{name}`")] } else { vec![] };
    Json(json!({ "udf_name": name, "errors": errors }))
}

async fn register(State(cluster): State<Shared>, Json(body): Json<Definition>) -> Response {
    let mut cluster = lock(&cluster);
    let name = name_of(&body.definition);
    if cluster.manner.does_not_compile.as_ref() == Some(&name) {
        return refused(StatusCode::BAD_REQUEST, "UDF is invalid");
    }
    if cluster.udfs.iter().any(|udf| udf.name == name) {
        return refused(StatusCode::BAD_REQUEST, "udf with that name already exists");
    }
    let id = cluster.id("udf");
    cluster.changes.push(format!("register {name}"));
    let answer = json!({ "id": id, "name": name, "dylib_url": "file:///artifacts/lib.so" });
    cluster.udfs.push(Udf { id, prefix: body.prefix, name, definition: body.definition });
    Json(answer).into_response()
}

async fn forget(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
    let mut cluster = lock(&cluster);
    match cluster.udfs.iter().position(|udf| udf.id == id) {
        Some(at) => {
            let gone = cluster.udfs.remove(at);
            cluster.changes.push(format!("forget {}", gone.name));
            StatusCode::OK.into_response()
        }
        None => refused(StatusCode::NOT_FOUND, "UDF not found"),
    }
}

#[derive(Deserialize)]
struct Paging {
    starting_after: Option<String>,
    limit: Option<usize>,
}

async fn pipelines(State(cluster): State<Shared>, Query(paging): Query<Paging>) -> Json<Value> {
    let cluster = lock(&cluster);
    let from = match &paging.starting_after {
        Some(last) => cluster.pipelines.iter().position(|found| found.id == *last).map_or(0, |at| at + 1),
        None => 0,
    };
    let limit = paging.limit.unwrap_or(10);
    let page: Vec<_> = cluster.pipelines[from..]
        .iter()
        .take(limit)
        .map(|found| {
            json!({
                "id": found.id, "name": found.name, "query": found.query, "udfs": [], "preview": false,
                "checkpoint_interval_micros": 10_000_000, "stop": "none", "created_at": 0,
                "action_text": "Stop", "action_in_progress": false, "graph": { "nodes": [], "edges": [] },
            })
        })
        .collect();
    Json(json!({ "data": page, "hasMore": cluster.pipelines.len() > from + limit }))
}

#[derive(Deserialize)]
struct Posted {
    #[serde(default)]
    name: String,
    query: String,
    #[serde(default)]
    parallelism: u64,
}

async fn check(State(cluster): State<Shared>, Json(body): Json<Posted>) -> Json<Value> {
    let manner = lock(&cluster).manner.clone();
    let place = manner
        .refuses
        .and_then(|word| body.query.lines().position(|line| line.contains(&word)).map(|at| at + 1));
    let errors = match place {
        Some(_) if manner.bare_messages => vec![json!("Error during planning: no such column")],
        Some(line) => vec![json!({
            "message": "Error during planning: no such column",
            "span": { "start": { "line": line, "column": 5 }, "end": { "line": line, "column": 9 } },
        })],
        None => vec![],
    };
    Json(json!({ "graph": null, "errors": errors }))
}

async fn create(State(cluster): State<Shared>, Json(body): Json<Posted>) -> Response {
    let mut cluster = lock(&cluster);
    if cluster.manner.creates_at_most.is_some_and(|most| cluster.pipelines.len() >= most) {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong");
    }
    cluster.changes.push(format!("create {}", body.name));
    let slowness = cluster.manner.slowness;
    let id = cluster.add(&body.name, &body.query, body.parallelism, "Scheduling", slowness);
    Json(json!({ "id": id, "name": body.name })).into_response()
}

async fn jobs(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
    let mut cluster = lock(&cluster);
    let Some(found) = cluster.pipelines.iter_mut().find(|found| found.id == id) else {
        return refused(StatusCode::NOT_FOUND, "Pipeline not found");
    };
    if matches!(found.state.as_str(), "Scheduling" | "Stopping") {
        if found.looks_left == 0 {
            found.state = found.next.to_owned();
        }
        found.looks_left = found.looks_left.saturating_sub(1);
    }
    let failure =
        (found.state == "Failed").then(|| json!({ "error": "a worker panicked", "domain": "user" }));
    let job =
        json!({ "id": "job_1", "state": found.state, "running_desired": true, "failure_reason": failure });
    Json(json!({ "data": [job] })).into_response()
}

#[derive(Deserialize)]
struct Patch {
    stop: Option<String>,
}

async fn stop(State(cluster): State<Shared>, Path(id): Path<String>, Json(body): Json<Patch>) -> Response {
    let mut cluster = lock(&cluster);
    let manner = cluster.manner.clone();
    let Some(found) = cluster.pipelines.iter_mut().find(|found| found.id == id) else {
        return refused(StatusCode::NOT_FOUND, "Pipeline not found");
    };
    let how = body.stop.unwrap_or_default();
    let hangs = manner.checkpoints_hang && how == "checkpoint";
    (found.state, found.next) = ("Stopping".to_owned(), "Stopped");
    found.looks_left = if hangs { u32::MAX } else { manner.slowness };
    found.stopped_by = Some(how.clone());
    let change = format!("stop {} ({how})", found.name);
    cluster.changes.push(change);
    Json(json!({ "id": id })).into_response()
}

async fn restart(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
    let mut cluster = lock(&cluster);
    let (slowness, fails) = (cluster.manner.slowness, cluster.manner.fails.clone());
    let Some(found) = cluster.pipelines.iter_mut().find(|found| found.id == id) else {
        return refused(StatusCode::NOT_FOUND, "Pipeline not found");
    };
    let next = if fails.is_some_and(|fails| found.name.contains(&fails)) { "Failed" } else { "Running" };
    (found.state, found.next, found.looks_left) = ("Scheduling".to_owned(), next, slowness);
    let change = format!("restart {}", found.name);
    cluster.changes.push(change);
    cluster.count_starting();
    Json(json!({ "id": id })).into_response()
}

async fn remove(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
    let mut cluster = lock(&cluster);
    let Some(at) = cluster.pipelines.iter().position(|found| found.id == id) else {
        return refused(StatusCode::NOT_FOUND, "Pipeline not found");
    };
    if !matches!(cluster.pipelines[at].state.as_str(), "Stopped" | "Finished" | "Failed") {
        return refused(StatusCode::BAD_REQUEST, "Pipeline's jobs must be in a terminal state");
    }
    let gone = cluster.pipelines.remove(at);
    cluster.changes.push(format!("delete {}", gone.name));
    StatusCode::OK.into_response()
}
