//! The watchlist over HTTP: read, changed from the version that was read, and only by its owner.

use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH, ORIGIN};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value as Json, json};

use crate::harness::Site;

const PATH: &str = "/api/v1/watchlist";

fn put(site: &Site, version: &str, list: &Json) -> RequestBuilder {
    let request = site.client.put(format!("{}{PATH}", site.url));
    request.header(IF_MATCH, version).header(CONTENT_TYPE, "application/json").body(list.to_string())
}

async fn said(answer: Response) -> (u16, Json) {
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn apple() -> Json {
    json!([{ "symbol": "AAPL", "search_term": "apple", "sections": ["business"] }])
}

#[tokio::test]
async fn a_list_is_put_and_read_back_with_its_version() {
    let site = Site::start().await;
    assert_eq!(site.json(PATH).await, json!({ "version": 0, "entries": [] }));
    let (status, list) = said(put(&site, "\"0\"", &apple()).send().await.unwrap()).await;
    assert_eq!((status, &list), (200, &json!({ "version": 1, "entries": apple() })));
    let answer = site.get(PATH).await;
    assert_eq!(answer.headers()[ETAG], "\"1\"");
    assert_eq!(answer.json::<Json>().await.unwrap(), list);
    // What GET gives can be put as it is; it changes nothing.
    let (status, same) = said(put(&site, "1", &list).send().await.unwrap()).await;
    assert_eq!((status, same), (200, list));
}

#[tokio::test]
async fn a_change_from_an_old_version_is_told_of_the_current_list() {
    let site = Site::start().await;
    put(&site, "0", &apple()).send().await.unwrap();
    let (status, answer) = said(put(&site, "0", &json!([{ "symbol": "MSFT" }])).send().await.unwrap()).await;
    assert_eq!(status, 412);
    assert_eq!(answer["current"], json!({ "version": 1, "entries": apple() }));
    assert!(answer["error"]["message"].as_str().unwrap().contains("version 1"), "{answer}");
    assert_eq!(site.json(PATH).await["version"], 1);
}

#[tokio::test]
async fn a_change_that_names_no_version_is_refused() {
    let site = Site::start().await;
    let request = site.client.put(format!("{}{PATH}", site.url)).body(apple().to_string());
    let (status, answer) = said(request.send().await.unwrap()).await;
    assert_eq!(status, 428);
    assert!(answer["error"]["message"].as_str().unwrap().contains("If-Match"), "{answer}");
    assert_eq!(said(put(&site, "newest", &apple()).send().await.unwrap()).await.0, 428);
}

#[tokio::test]
async fn a_bad_list_is_refused_as_a_whole_with_every_bad_entry() {
    let site = Site::start().await;
    let list = json!([{ "symbol": "AAPL" }, { "symbol": "<b>" }, { "search_term": "(a" }]);
    let (status, answer) = said(put(&site, "0", &list).send().await.unwrap()).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert_eq!(status, 422);
    assert!(message.contains("entry 2") && message.contains("entry 3") && message.contains('^'), "{message}");
    assert_eq!(site.json(PATH).await["version"], 0);
}

#[tokio::test]
async fn ten_thousand_entries_fit_and_a_body_beyond_every_list_does_not() {
    let site = Site::start().await;
    let list: Json = (0..10_000)
        .map(|i| json!({ "symbol": format!("S{i}"), "search_term": format!("company {i}") }))
        .collect();
    assert_eq!(put(&site, "0", &list).send().await.unwrap().status(), 200);
    let huge = json!([{ "search_term": "x".repeat(2 << 20) }]);
    assert_eq!(put(&site, "1", &huge).send().await.unwrap().status(), 413);
    assert_eq!(site.json(PATH).await["version"], 1);
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let site = Site::start().await;
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        (ORIGIN.as_str(), "https://elsewhere.example"),
        (ORIGIN.as_str(), "null"),
    ] {
        let answer = put(&site, "0", &apple()).header(header, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{header}: {value}");
    }
    assert_eq!(site.json(PATH).await["version"], 0);
    let own = put(&site, "0", &apple()).header("sec-fetch-site", "same-origin").header(ORIGIN, &site.url);
    assert_eq!(own.send().await.unwrap().status(), 200);
}
