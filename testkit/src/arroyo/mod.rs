//! Arroyo's REST API: functions that compile, pipelines that are scheduled,
//! run, fail and stop, with the rules that the real one enforces.

mod cluster;
mod pipelines;
mod udfs;

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::task::AbortHandle;

pub use cluster::{Manner, Pipeline, Udf};

use cluster::{Cluster, Shared, lock};

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
            .route("/udfs", get(udfs::list).post(udfs::register))
            .route("/udfs/validate", post(udfs::compile))
            .route("/udfs/{id}", delete(udfs::forget))
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

    /// A run finishes a checkpoint, at a time in microseconds, and begins another.
    pub fn checkpoint(&self, name: &str, finished: u64) {
        let mut cluster = lock(&self.cluster);
        for pipeline in cluster.pipelines.iter_mut().filter(|pipeline| pipeline.name == name) {
            pipeline.checkpoints.pop_if(|last| last.is_none());
            pipeline.checkpoints.extend([Some(finished), None]);
        }
    }

    /// A pipeline is gone, as after its cluster's volume was lost.
    pub fn lose(&self, name: &str) {
        lock(&self.cluster).pipelines.retain(|pipeline| pipeline.name != name);
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
