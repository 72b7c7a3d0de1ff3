//! The watchlist's page by plain forms, as a browser without scripts sends them.

use control::preview::{self, Headline, Preview};
use control::watchlist::{self, Entry};
use model::status::{EntryState, QuotaState, ServiceStatus};
use model::time::MINUTE;
use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, ORIGIN};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use crate::harness::{Feed, OPEN, Site, article, status};

async fn post(site: &Site, fields: &[(&str, &str)]) -> Response {
    post_from(site, "same-origin", fields).await
}

async fn post_from(site: &Site, from: &str, fields: &[(&str, &str)]) -> Response {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let form = site.client.post(format!("{}/watchlist", site.url)).header("sec-fetch-site", from);
    form.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).send().await.unwrap()
}

async fn listed(site: &Site) -> Vec<String> {
    let list = watchlist::read(&*site.log).await.unwrap();
    list.entries.iter().map(ToString::to_string).collect()
}

async fn watch(site: &Site, symbols: &[&str]) {
    let entry = |symbol: &&str| Entry { symbol: Some((*symbol).to_owned()), ..Entry::default() };
    watchlist::put(&*site.log, 0, symbols.iter().map(entry).collect(), "test").await.unwrap();
}

#[tokio::test]
async fn an_entry_is_added_and_the_page_says_so_after_a_redirect() {
    let site = Site::start().await;
    assert!(site.text("/watchlist").await.contains("Nothing is watched yet."));
    let fields =
        [("version", "0"), ("do", "save"), ("symbol", " AAPL "), ("term", "apple"), ("sections", "business")];
    let answer = post(&site, &fields).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let place = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    assert_eq!(listed(&site).await, ["AAPL with `apple` in business"]);
    let page = site.text(place.split('#').next().unwrap()).await;
    assert!(page.contains("Saved: added AAPL with `apple` in business."), "{page}");
    assert!(page.contains("by page"), "{page}");
}

#[tokio::test]
async fn what_is_wrong_is_said_beside_its_field_with_everything_kept() {
    let site = Site::start().await;
    let fields = [("version", "0"), ("do", "save"), ("symbol", "A B"), ("term", ""), ("sections", "")];
    let answer = post(&site, &fields).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text().await.unwrap();
    assert!(
        page.contains("name=\"symbol\" value=\"A B\"") && page.contains("aria-invalid=\"true\""),
        "{page}"
    );

    let fields =
        [("version", "0"), ("do", "save"), ("symbol", "NVDA"), ("term", "chips AND <b"), ("sections", "")];
    assert_eq!(post(&site, &fields).await.status(), StatusCode::SEE_OTHER, "a word may look like markup");
    let fields =
        [("version", "1"), ("do", "save"), ("symbol", "AMD"), ("term", "chips (<b>"), ("sections", "")];
    let page = post(&site, &fields).await.text().await.unwrap();
    assert!(page.contains("At character 7: this bracket is never closed."), "{page}");
    assert!(page.contains("<code>chips <mark>(</mark>&#60;b&#62;</code>"), "{page}");
    assert!(page.contains("value=\"AMD\"") && page.contains("value=\"chips (&#60;b&#62;\""), "{page}");
}

#[tokio::test]
async fn entries_are_edited_moved_removed_and_brought_back() {
    let site = Site::start().await;
    watch(&site, &["AAPL", "IBM", "MSFT"]).await;
    assert!(site.text("/watchlist?edit=2").await.contains("name=\"symbol\" value=\"IBM\""));
    let edit = [("version", "1"), ("do", "save"), ("place", "2"), ("symbol", "IBM"), ("term", "big blue")];
    assert_eq!(post(&site, &edit).await.status(), StatusCode::SEE_OTHER);
    post(&site, &[("version", "2"), ("do", "up 2")]).await;
    post(&site, &[("version", "3"), ("do", "remove 3")]).await;
    assert_eq!(listed(&site).await, ["IBM with `big blue`", "AAPL"]);
    let page = site.text("/watchlist").await;
    assert!(page.contains("value=\"restore 3\">Undo"), "{page}");
    post(&site, &[("version", "4"), ("do", "restore 3")]).await;
    assert_eq!(listed(&site).await, ["IBM with `big blue`", "AAPL", "MSFT"]);
    assert!(site.text("/watchlist").await.contains("value=\"restore 1\">Back to this"));
}

#[tokio::test]
async fn many_are_pasted_at_once_and_each_mistake_is_named() {
    let site = Site::start().await;
    watch(&site, &["IBM"]).await;
    let paste = [("version", "1"), ("do", "many"), ("many", "AAPL, MSFT\r\nNVDA: nvidia AND chips\nIBM")];
    assert_eq!(post(&site, &paste).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(listed(&site).await, ["IBM", "AAPL", "MSFT", "NVDA with `nvidia AND chips`"]);
    let answer = post(&site, &[("version", "2"), ("do", "many"), ("many", "AMD\nB_D")]).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Line 2: the symbol `B_D`") && page.contains(">AMD\nB_D</textarea>"), "{page}");
    let huge = "A".repeat(20_000);
    let answer = post(&site, &[("version", "2"), ("do", "many"), ("many", &huge)]).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.text().await.unwrap().contains("Paste in parts"));
}

#[tokio::test]
async fn of_two_who_edit_at_once_the_second_is_told_and_nothing_is_overwritten() {
    let site = Site::start().await;
    watch(&site, &["AAPL"]).await;
    post(&site, &[("version", "1"), ("do", "remove 1")]).await;
    let answer = post(&site, &[("version", "1"), ("do", "save"), ("symbol", "MSFT")]).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Not saved: the list has been changed meanwhile."), "{page}");
    assert!(page.contains("by page") && page.contains(": removed AAPL."), "who did what is said: {page}");
    assert!(page.contains("name=\"version\" value=\"2\"") && page.contains("value=\"MSFT\""), "{page}");
    assert_eq!(listed(&site).await, [""; 0]);
}

#[tokio::test]
async fn each_entry_says_what_the_services_made_of_it() {
    let site = Site::start().await;
    let tied = Entry { symbol: Some("AAPL".into()), search_term: Some("apple".into()), sections: Vec::new() };
    watchlist::put(&*site.log, 0, vec![tied], "test").await.unwrap();
    let state = |term: Option<&str>, state: &str| EntryState {
        symbol: Some("AAPL".into()),
        search_term: term.map(Into::into),
        state: state.into(),
        failing: state.starts_with("failing"),
        next_asked: term.map(|_| OPEN + 9 * MINUTE),
        ..EntryState::default()
    };
    let quota = QuotaState { per_day: 500, used_today: 20, at_hand: 3.0, at: OPEN };
    site.say(&ServiceStatus { entries: vec![state(None, "subscribed")], ..status("producer", OPEN) }).await;
    let news = ServiceStatus {
        entries: vec![state(Some("apple"), "failing: no answer")],
        quota: Some(quota),
        ..status("news-watcher", OPEN)
    };
    site.say(&news).await;
    site.deliver(&Feed::of("AAPL", 0..3)).await;
    let page = site.text("/watchlist").await;
    for said in [
        "subscribed",
        "last bar</span> <time datetime=\"2013-10-04T13:32:00Z\"",
        "<span class=\"warn\">failing: no answer</span>",
        "next poll</span> <time datetime=\"2013-10-04T13:39:00Z\"",
        "480 of 500 calls left today",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
}

#[tokio::test]
async fn without_a_key_a_preview_shows_stored_headlines_and_says_so() {
    let site = Site::start().await;
    let hostile = article("AAPL", OPEN, "Apple <script>alert(1)</script> rises");
    site.deliver(&Feed::of("AAPL", 0..1).with_article(hostile)).await;
    site.say(&status("news-watcher", OPEN)).await;
    let fields = [("version", "0"), ("do", "preview"), ("term", "apple AND rises")];
    let answer = post(&site, &fields).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Stored headlines") && page.contains("not asked of the Guardian"), "{page}");
    assert!(page.contains("Apple &#60;script&#62;alert(1)&#60;/script&#62; rises"), "{page}");
    assert!(page.contains("value=\"apple AND rises\""), "what was typed is kept");
    assert_eq!(listed(&site).await, [""; 0]);
}

#[tokio::test]
async fn with_a_key_a_preview_is_asked_once_and_then_remembered() {
    let site = Site::start().await;
    let quota = QuotaState { per_day: 500, ..QuotaState::default() };
    site.say(&ServiceStatus { quota: Some(quota), ..status("news-watcher", OPEN) }).await;
    let mut questions = preview::questions(site.log.clone()).await.unwrap();
    let answering = tokio::spawn({
        let log = site.log.clone();
        async move {
            let asked = questions.recv().await.unwrap();
            let found = Headline {
                headline: "Found lately".into(),
                url: "https://news.example/1".into(),
                section_name: None,
                published_timestamp: OPEN,
            };
            let preview = Preview { id: asked.id, at: OPEN, total: 7, headlines: vec![found], refused: None };
            log::Log::append(&*log, vec![preview.to_append()]).await.unwrap();
        }
    });
    let fields = [("version", "0"), ("do", "preview"), ("term", "apple")];
    let page = post(&site, &fields).await.text().await.unwrap();
    assert!(page.contains("Found lately") && page.contains("7 articles of the last 7 days"), "{page}");
    answering.await.unwrap();
    // Nobody answers any more: what is shown now was kept.
    assert!(post(&site, &fields).await.text().await.unwrap().contains("Found lately"));
}

#[tokio::test]
async fn another_site_changes_nothing_and_nonsense_is_told() {
    let site = Site::start().await;
    let fields = [("version", "0"), ("do", "save"), ("symbol", "AAPL")];
    let answer = post_from(&site, "cross-site", &fields).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(listed(&site).await, [""; 0]);
    for fields in [&[("do", "sell 1")][..], &[], &[("version", "0"), ("do", "remove x")]] {
        assert_eq!(post(&site, fields).await.status(), StatusCode::BAD_REQUEST, "{fields:?}");
    }
    assert_eq!(post(&site, &[("version", "x"), ("do", "remove 1")]).await.status(), StatusCode::CONFLICT);
    assert_eq!(site.get("/watchlist?edit=99&from=-3").await.status(), StatusCode::OK);
}

// The watchlist over HTTP: read, changed from the version that was read, and only by its owner.

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
