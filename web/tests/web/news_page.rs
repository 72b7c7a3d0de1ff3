//! The news page: search, filters, pages, and what hostile input does to it: nothing.

use model::Article;
use model::time::MINUTE;
use reqwest::StatusCode;

use crate::harness::{Feed, OPEN, Site, article};

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
