//! The pipelines of the stand-in for Arroyo: validation, scheduling, states, restart and
//! deletion.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, lock, refused};

#[derive(Deserialize)]
pub(super) struct Paging {
    starting_after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(State(cluster): State<Shared>, Query(paging): Query<Paging>) -> Json<Value> {
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
pub(super) struct Posted {
    #[serde(default)]
    name: String,
    query: String,
    #[serde(default)]
    parallelism: u64,
}

pub(super) async fn check(State(cluster): State<Shared>, Json(body): Json<Posted>) -> Json<Value> {
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

pub(super) async fn create(State(cluster): State<Shared>, Json(body): Json<Posted>) -> Response {
    let mut cluster = lock(&cluster);
    if cluster.manner.creates_at_most.is_some_and(|most| cluster.pipelines.len() >= most) {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong");
    }
    cluster.changes.push(format!("create {}", body.name));
    let slowness = cluster.manner.slowness;
    let id = cluster.add(&body.name, &body.query, body.parallelism, "Scheduling", slowness);
    Json(json!({ "id": id, "name": body.name })).into_response()
}

pub(super) async fn jobs(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
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

pub(super) async fn checkpoints(
    State(cluster): State<Shared>,
    Path((id, _)): Path<(String, String)>,
) -> Response {
    let cluster = lock(&cluster);
    let Some(found) = cluster.pipelines.iter().find(|found| found.id == id) else {
        return refused(StatusCode::NOT_FOUND, "Pipeline not found");
    };
    let listed = found.checkpoints.iter().enumerate().map(|(epoch, finished)| {
        json!({
            "epoch": epoch, "backend": "parquet", "start_time": 1, "finish_time": finished, "events": [],
        })
    });
    Json(json!({ "data": listed.collect::<Vec<_>>() })).into_response()
}

#[derive(Deserialize)]
pub(super) struct Patch {
    stop: Option<String>,
}

pub(super) async fn stop(
    State(cluster): State<Shared>,
    Path(id): Path<String>,
    Json(body): Json<Patch>,
) -> Response {
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

pub(super) async fn restart(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
    let mut cluster = lock(&cluster);
    if cluster.manner.refuses_restarts {
        return refused(StatusCode::BAD_REQUEST, "Pipeline cannot be restarted");
    }
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

pub(super) async fn remove(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
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
