//! A stand-in for Arroyo's REST API: functions that compile and pipelines that are scheduled,
//! run, fail and stop, with the rules that the real one enforces.

mod pipelines;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

/// A running server, stopped on drop.
pub struct Arroyo {
    url: String,
    cluster: Shared,
    task: AbortHandle,
}

impl Arroyo {
    /// Starts a server on a free port, with authentication if `key` is given.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(key: Option<&str>) -> Arroyo {
        let cluster = Arc::new(Mutex::new(Cluster { key: key.map(str::to_owned), ..Cluster::default() }));
        let routes = Router::new()
            .route("/ping", get(async || Json("Pong")))
            .route("/udfs", get(list).post(register))
            .route("/udfs/validate", post(compile))
            .route("/udfs/{id}", delete(forget))
            .route("/pipelines", get(pipelines::list).post(pipelines::create))
            .route("/pipelines/validate_query", post(pipelines::check))
            .route("/pipelines/{id}", patch(pipelines::stop).delete(pipelines::remove))
            .route("/pipelines/{id}/jobs", get(pipelines::jobs))
            .route("/pipelines/{id}/jobs/{job}/checkpoints", get(pipelines::checkpoints))
            .route("/pipelines/{id}/restart", post(pipelines::restart))
            .layer(middleware::from_fn_with_state(cluster.clone(), admit))
            .with_state(cluster.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = Router::new().nest("/api/v1", routes);
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Arroyo { url, cluster, task: task.abort_handle() }
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes the behaviour.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut lock(&self.cluster).manner);
    }

    /// The registered functions.
    pub fn udfs(&self) -> Vec<Udf> {
        lock(&self.cluster).udfs.clone()
    }

    /// The existing pipelines.
    pub fn pipelines(&self) -> Vec<Pipeline> {
        lock(&self.cluster).pipelines.clone()
    }

    /// Adds a pipeline that is not Tickwire's or is left over.
    pub fn add_pipeline(&self, name: &str, query: &str, state: &'static str) {
        let mut cluster = lock(&self.cluster);
        cluster.add(name, query, 1, state, 0);
    }

    /// Adds a function that is not Tickwire's.
    pub fn add_udf(&self, prefix: &str, name: &str) {
        let mut cluster = lock(&self.cluster);
        let (id, definition) = (cluster.id("udf"), format!("fn {name}() {{}}"));
        cluster.udfs.push(Udf { id, prefix: prefix.to_owned(), name: name.to_owned(), definition });
    }

    /// Sets the state of a run, as the failure of a worker would.
    pub fn bring_into(&self, name: &str, state: &str) {
        let mut cluster = lock(&self.cluster);
        for pipeline in cluster.pipelines.iter_mut().filter(|pipeline| pipeline.name == name) {
            (pipeline.state, pipeline.looks_left) = (state.to_owned(), u32::MAX);
        }
    }

    /// Finishes a checkpoint of a run at a time in microseconds since 1970, and begins another.
    pub fn checkpoint(&self, name: &str, finished: u64) {
        let mut cluster = lock(&self.cluster);
        for pipeline in cluster.pipelines.iter_mut().filter(|pipeline| pipeline.name == name) {
            pipeline.checkpoints.pop_if(|last| last.is_none());
            pipeline.checkpoints.extend([Some(finished), None]);
        }
    }

    /// Removes a pipeline, as the loss of the cluster's volume would.
    pub fn lose(&self, name: &str) {
        lock(&self.cluster).pipelines.retain(|pipeline| pipeline.name != name);
    }

    /// The requested changes since the last call, in order, as `verb what`.
    pub fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.cluster).changes)
    }

    /// The maximum number of pipelines that were starting at the same time.
    pub fn most_starting_together(&self) -> usize {
        lock(&self.cluster).together
    }
}

impl Drop for Arroyo {
    fn drop(&mut self) {
        self.task.abort();
    }
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

fn refused(status: StatusCode, said: &str) -> Response {
    (status, Json(json!({ "error": said }))).into_response()
}

// Functions: they compile or not, and names are unique.

async fn list(State(cluster): State<Shared>) -> Json<Value> {
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

/// The name of the function in a definition.
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

// The state of the cluster, and its behaviour.

/// A registered function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udf {
    /// Its id.
    pub id: String,
    /// Its group.
    pub prefix: String,
    /// Its name, taken from the definition.
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
    /// The parallelism of every operator.
    pub parallelism: u64,
    /// The state of its run.
    pub state: String,
    /// The kind of stop that was last requested.
    pub stopped_by: Option<String>,
    /// When its checkpoints finished, in microseconds since 1970; `None` for one in progress.
    pub checkpoints: Vec<Option<u64>>,
    /// How many requests still see the current state.
    looks_left: u32,
    next: &'static str,
}

/// The behaviour of the cluster, set by a test.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// How many requests are answered with 503 before the cluster has started.
    pub starting: u32,
    /// How many requests see a run before it is scheduled, and before it is stopped.
    pub slowness: u32,
    /// A pipeline whose name contains this fails instead of running.
    pub fails: Option<String>,
    /// A query that contains this is rejected, with its line number.
    pub refuses: Option<String>,
    /// A function with this name does not compile.
    pub does_not_compile: Option<String>,
    /// A stop with a checkpoint never finishes.
    pub checkpoints_hang: bool,
    /// Creating a pipeline fails with 500 after this many.
    pub creates_at_most: Option<usize>,
    /// A run that has ended cannot be restarted.
    pub refuses_restarts: bool,
    /// Validation returns plain messages, as versions up to 0.15 do.
    pub bare_messages: bool,
}

/// The state behind the API.
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
            checkpoints: Vec::new(),
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
