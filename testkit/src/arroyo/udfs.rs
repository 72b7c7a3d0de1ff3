//! Functions: they compile or not, and a name is there once.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster::{Shared, Udf, lock};
use super::refused;

pub(super) async fn list(State(cluster): State<Shared>) -> Json<Value> {
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
pub(super) struct Definition {
    #[serde(default)]
    prefix: String,
    definition: String,
}

/// The name of the function that a definition defines.
fn name_of(definition: &str) -> String {
    let (_, rest) = definition.split_once("fn ").unwrap_or(("", ""));
    rest.split('(').next().unwrap_or("").trim().to_owned()
}

pub(super) async fn compile(State(cluster): State<Shared>, Json(body): Json<Definition>) -> Json<Value> {
    let name = name_of(&body.definition);
    let fails = lock(&cluster).manner.does_not_compile.as_ref() == Some(&name);
    let errors = if fails { vec![format!("error[E0425]: cannot find value in `{name}`")] } else { vec![] };
    Json(json!({ "udf_name": name, "errors": errors }))
}

pub(super) async fn register(State(cluster): State<Shared>, Json(body): Json<Definition>) -> Response {
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

pub(super) async fn forget(State(cluster): State<Shared>, Path(id): Path<String>) -> Response {
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
