//! The files of Grafana: dashboards with their panels, and alert rules.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A query and where it stands.
pub struct Query {
    pub place: String,
    pub flux: String,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana").join(name)
}

/// Every dashboard, by the name of its file.
pub fn dashboards() -> Vec<(String, Value)> {
    let mut read: Vec<_> = fs::read_dir(folder("dashboards"))
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    read.sort_by(|a, b| a.0.cmp(&b.0));
    read
}

/// Every query of every dashboard and of the alert rules.
pub fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards() {
        collect(&dashboard, &name, &mut queries);
    }
    queries.extend(of_alert_rules());
    queries
}

/// Queries are the texts under `query` that ask a bucket or make a row.
fn collect(json: &Value, place: &str, found: &mut Vec<Query>) {
    match json {
        Value::Object(object) => {
            let titled = object.get("title").or_else(|| object.get("name")).and_then(Value::as_str);
            let place = titled.map_or_else(|| place.to_owned(), |title| format!("{place} / {title}"));
            if let Some(flux) = object.get("query").and_then(Value::as_str).filter(|text| text.contains('('))
            {
                found.push(Query { place: place.clone(), flux: flux.to_owned() });
            }
            object.values().for_each(|below| collect(below, &place, found));
        }
        Value::Array(list) => list.iter().for_each(|below| collect(below, place, found)),
        _ => {}
    }
}

/// The queries of the alert rules: the blocks under `query: |`.
fn of_alert_rules() -> Vec<Query> {
    let text = fs::read_to_string(folder("provisioning/alerting/rules.yaml")).unwrap();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let (mut queries, mut title, mut lines) = (Vec::new(), String::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        if let Some(named) = line.trim().strip_prefix("title: ") {
            title = named.to_owned();
        }
        if line.trim() == "query: |" {
            let mut flux = String::new();
            while let Some(below) = lines.next_if(|below| depth(below) > depth(line)) {
                flux.push_str(below);
                flux.push('\n');
            }
            queries.push(Query { place: format!("alert rule / {title}"), flux });
        }
    }
    queries
}
