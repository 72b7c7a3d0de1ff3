//! The answers: the envelope, both shapes of refusal, and what is no answer at all.

use std::collections::BTreeMap;
use std::io;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use axum::response::Response;
use chrono::DateTime;
use serde_json::{Value, json};

use super::Fault;
use super::search::Page;

pub(super) fn found(page: Result<Page, String>, parameters: &BTreeMap<String, String>, now: i64) -> Response {
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

pub(super) async fn fault(fault: Fault, now: i64) -> Response {
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
