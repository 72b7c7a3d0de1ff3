//! The status page: stages, keys, gaps, and dead letters with the way back.

use std::sync::Arc;

use control::replay::Event;
use log::Log;
use model::status::{EntryState, QuotaState, ServiceStatus};
use model::time::MINUTE;
use model::topic::STOCK_PRICES;
use model::{Article, DeadLetter, Gap};
use reqwest::{Response, StatusCode};
use web::{Access, Key, Process};

use crate::harness::{Feed, OPEN, Site, article, bar, status};

/// A site whose process reads a letter again if it is a bar written as JSON.
async fn reading() -> Site {
    let keys = vec![
        Key { name: "Polygon, for prices", variable: "POLYGON_API_KEY", present: true },
        Key { name: "The Guardian", variable: "GUARDIAN_API_KEY", present: false },
    ];
    let read_again = |letter: &DeadLetter, _: &control::watchlist::Watchlist| {
        let bar = serde_json::from_str(&letter.event).map_err(|error| format!("it is no bar: {error}"))?;
        Ok(vec![Event::Bar(Box::new(bar))])
    };
    let process = Process { keys, read_again: Some(Arc::new(read_again)), ..Process::default() };
    Site::within(Access::default(), process).await
}

async fn letter(site: &Site, event: &str, reason: &str) {
    let letter = DeadLetter::new("replay:bars.csv:7", reason, event.as_bytes(), OPEN);
    site.log.append(vec![letter.to_append()]).await.unwrap();
}

async fn replay(site: &Site, place: &str) -> Response {
    site.post_form("/status/replay", &[("place", place)]).send().await.unwrap()
}

#[tokio::test]
async fn every_stage_is_shown_in_the_order_of_the_data_with_lag_and_errors() {
    let site = Site::start().await;
    let counts = [("points".to_owned(), 12_345), ("rejected".to_owned(), 3)].into();
    site.say(&ServiceStatus { counts, ..status("sink", OPEN) }).await;
    site.say(&status("producer", OPEN + 5 * MINUTE)).await;
    let page = site.text("/status").await;
    let (producer, sink) = (page.find(">producer</th>").unwrap(), page.find(">sink</th>").unwrap());
    assert!(producer < sink);
    let sink = &page[sink..];
    assert!(sink.contains("<td>5 min</td>") && sink.contains("<td class=\"warn\">3</td>"), "{sink}");
    assert!(sink.contains("points <b>12,345</b>"), "{sink}");
    // This build's: whoever puts a status on the log says which.
    assert!(sink.contains(concat!("<td>", env!("CARGO_PKG_VERSION"), "</td>")), "{sink}");
}

#[tokio::test]
async fn keys_are_said_to_be_there_or_not_and_quota_and_next_poll_stand_beside_each_term() {
    let site = reading().await;
    let entry = EntryState {
        search_term: Some("<apple>".into()),
        state: "answered".into(),
        next_asked: Some(OPEN),
        ..EntryState::default()
    };
    let quota = Some(QuotaState { per_day: 500, used_today: 17, at_hand: 2.7, at: OPEN });
    site.say(&ServiceStatus { quota, entries: vec![entry], ..status("news-watcher", OPEN) }).await;
    let page = site.text("/status").await;
    assert!(page.contains("17 of 500 calls used since midnight UTC, 2 at hand now"), "{page}");
    assert!(page.contains("“&#60;apple&#62;”") && page.contains("2013-10-04 13:30 UTC"), "{page}");
    assert!(page.contains("present</span>") && page.contains("missing</span>"), "{page}");
}

#[tokio::test]
async fn gaps_are_listed_with_their_reason() {
    let site = Site::start().await;
    let mut feed = Feed::of("AAPL", 0..1);
    feed.gaps.push(Gap {
        symbol: "*".into(),
        from: OPEN,
        to: OPEN + 7 * MINUTE,
        reason: "the feed was down".into(),
    });
    site.deliver(&feed).await;
    let page = site.text("/status").await;
    assert!(page.contains("<th scope=\"row\">all</th>") && page.contains("<td>7</td>"), "{page}");
    assert!(page.contains("the feed was down"));
}

#[tokio::test]
async fn a_dead_letter_is_viewed_downloaded_and_replayed() {
    let site = reading().await;
    letter(&site, &serde_json::to_string(&bar("AAPL", OPEN)).unwrap(), "the close is <b>too high</b>").await;
    letter(&site, "nonsense", "it is no bar").await;
    let page = site.text("/status").await;
    assert!(page.contains("the close is &#60;b&#62;too high") && page.contains("2 in all."), "{page}");
    let one = site.text("/status/dead-letters/0/0").await;
    assert!(one.contains("&#34;AAPL&#34;") && one.contains("replay:bars.csv:7"), "{one}");
    let file = site.text("/api/v1/dead-letters.jsonl").await;
    assert_eq!(file.lines().count(), 2);
    assert_eq!(site.json("/api/v1/dead-letters/0/1").await["event"], "nonsense");
    assert_eq!(site.json("/api/v1/dead-letters?limit=1").await["letters"][0]["offset"], 1);

    let said = replay(&site, "listed").await.text().await.unwrap();
    assert!(said.contains("1 dead letter replayed as 1 record; 1 left as they are:"), "{said}");
    assert!(said.contains("0/1</a>: it is no bar"), "{said}");
    let records = site.log.read(&STOCK_PRICES, 0, 0, 10).await.unwrap();
    assert_eq!(records.iter().filter(|record| record.key == "AAPL").count(), 1);
}

#[tokio::test]
async fn letters_that_are_not_there_and_replays_for_another_site_are_refused() {
    let site = reading().await;
    for (place, status) in [("0/99", 404), ("7/0", 404), ("x", 400), ("", 400)] {
        assert_eq!(replay(&site, place).await.status(), status, "{place}");
    }
    for path in ["/status/dead-letters/0/0", "/status/dead-letters/a/b", "/api/v1/dead-letters/0/0"] {
        assert_eq!(site.get(path).await.status(), 404, "{path}");
    }
    let request = site.post_form("/status/replay", &[("place", "listed")]);
    let answer = request.header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn where_letters_cannot_be_read_again_the_page_names_the_command() {
    let site = Site::start().await;
    letter(&site, "nonsense", "it is no bar").await;
    let page = site.text("/status").await;
    assert!(page.contains("<code>tickwire dead-letters replay</code>") && !page.contains("value=\"listed\""));
    let said = replay(&site, "0/0").await.text().await.unwrap();
    assert!(said.contains("use `tickwire dead-letters replay 0/0`"), "{said}");
}

#[tokio::test]
async fn a_list_of_letters_is_small_and_a_letter_by_itself_is_whole() {
    let site = reading().await;
    // An event that is long and reads as a bar only where it is whole.
    let long = format!("{}{}", " ".repeat(50_000), serde_json::to_string(&bar("AAPL", OPEN)).unwrap());
    for _ in 0..30 {
        letter(&site, &long, "too long").await;
    }
    let list = site.text("/api/v1/dead-letters?limit=30").await;
    assert!(list.len() < 30 * 3_000, "{}", list.len());
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list["kept"], &list["letters"][0]["cut"]), (&30.into(), &true.into()));
    let whole = site.json("/api/v1/dead-letters/0/29").await;
    assert_eq!(
        (whole["event"].as_str().unwrap().len(), &whole["cut"]),
        (long.len(), &serde_json::Value::Null)
    );
    let file = site.text("/api/v1/dead-letters.jsonl").await;
    assert_eq!((file.lines().count(), file.len() > 30 * long.len()), (30, true));
    let page = replay(&site, "listed").await.text().await.unwrap();
    assert!(page.contains("30 dead letters replayed as 30 records"), "{page}");
}

// The news page: search, filters, pages, and what hostile input does to it: nothing.

fn headlines(page: &str) -> Vec<&str> {
    let found = page.split("<p class=\"headline\"><a href=\"").skip(1);
    found.map(|rest| rest.split_once("noreferrer\">").unwrap().1.split("</a>").next().unwrap()).collect()
}

async fn site_with(articles: Vec<Article>) -> Site {
    let site = Site::start().await;
    let feed = articles.into_iter().fold(Feed::of("AAPL", 0..2), Feed::with_article);
    site.deliver(&feed).await;
    site
}

#[tokio::test]
async fn headlines_are_listed_newest_first_and_searched_by_words_and_symbol() {
    let site = site_with(vec![
        article("AAPL", OPEN, "Apple raises its dividend"),
        article("MSFT", OPEN + MINUTE, "Microsoft opens an office"),
    ])
    .await;
    let page = site.text("/news").await;
    assert_eq!(headlines(&page), ["Microsoft opens an office", "Apple raises its dividend"]);
    assert!(page.contains("<time datetime=\"2013-10-04T13:31:00Z\""), "{page}");
    assert_eq!(headlines(&site.text("/news?q=divid").await), ["Apple raises its dividend"]);
    assert_eq!(headlines(&site.text("/news?symbol=MSFT").await), ["Microsoft opens an office"]);
    assert_eq!(headlines(&site.text("/news?from=2013-10-05").await), [""; 0]);
    assert_eq!(headlines(&site.text("/news?from=2013-10-04&to=2013-10-04").await).len(), 2);
}

#[tokio::test]
async fn an_article_that_comes_later_is_found_without_a_restart() {
    let site = site_with(Vec::new()).await;
    assert!(site.text("/news").await.contains("No headline has come in yet."));
    site.append(&Feed::default().with_article(article("AAPL", OPEN, "Fresh"))).await;
    assert_eq!(headlines(&site.text("/news?q=fresh").await), ["Fresh"]);
    assert!(site.text("/news?q=stale").await.contains("No headline matches."));
}

#[tokio::test]
async fn long_lists_are_paged_without_losing_what_was_asked() {
    let articles = (0..60).map(|i| article("AAPL", OPEN + i * MINUTE, &format!("Number {i:02} & more")));
    let site = site_with(articles.collect()).await;
    let first = site.text("/news?q=number&symbol=AAPL").await;
    assert_eq!((headlines(&first).len(), headlines(&first)[0]), (50, "Number 59 &#38; more"));
    let older = first.split("rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap();
    let older = older.split('"').next().unwrap().replace("&#38;", "&");
    assert!(older.contains("q=number") && older.contains("symbol=AAPL"), "{older}");
    let second = site.text(&older).await;
    assert_eq!((headlines(&second).len(), headlines(&second)[0]), (10, "Number 09 &#38; more"));
    assert!(!second.contains("rel=\"next\"") && second.contains(">Newest</a>"));
}

#[tokio::test]
async fn no_query_breaks_the_page_and_no_headline_is_markup() {
    let site = site_with(vec![article("AAPL", OPEN, "<img src=x onerror=alert(1)> \"quoted\"")]).await;
    for q in [
        "%22",
        "%22%22%22",
        "*",
        "AND",
        "NEAR(",
        "a%20OR",
        "-",
        "-%22",
        "symbols%3A",
        "%00",
        "%27%3B--",
        "(((",
        "^x",
        "%F0%9F%98%80",
        "%E2%93%90",
        "a%22b%22c*",
    ] {
        let answer = site.get(&format!("/news?q={q}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{q}");
    }
    let page = site.text("/news?q=quoted").await;
    assert!(!page.contains("<img"), "{page}");
    assert_eq!(headlines(&page).len(), 1);
    let page = site.text("/news?q=%22%3E%3Cscript%3E").await;
    assert!(!page.contains("\"><script>"), "{page}");
    for (query, status) in [
        ("from=soon", StatusCode::UNPROCESSABLE_ENTITY),
        ("from=2013-10-05&to=2013-10-04", StatusCode::UNPROCESSABLE_ENTITY),
        ("after=x.y", StatusCode::OK),
        ("after=9223372036854775807.-1", StatusCode::OK),
    ] {
        assert_eq!(site.get(&format!("/news?{query}")).await.status(), status, "{query}");
    }
    assert!(site.text("/news?from=soon").await.contains("`from` is no day"));
}
