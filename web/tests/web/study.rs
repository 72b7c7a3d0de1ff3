//! The event study: its page, readable without a script, and its API.

use model::time::{MINUTE, Millis};

use model::AssetClass;
use model::calendar::Calendar;

use crate::harness::{Feed, OPEN, Site, article, bar};

const STOCKS: Calendar = AssetClass::Stocks.calendar();

/// An hour after the open of the sixth session.
const NEWS: Millis = OPEN + 7 * 24 * 60 * MINUTE + 60 * MINUTE;

/// Six sessions of a price that waves a little, and doubles its pace after news
/// in the last; an article at night, and one of another symbol.
fn feed() -> Feed {
    let mut feed = Feed::default();
    let mut session = STOCKS.session(STOCKS.date_of(OPEN)).unwrap();
    for day in 0..6 {
        for minute in 0..390 {
            let start = session.open + minute * MINUTE;
            let wave = (minute as f64 * (day + 3) as f64 / 9.0).sin();
            let news = if start >= NEWS { 0.01 } else { 0.0 };
            let close = 100.0 * (0.001 * wave + news).exp();
            let bar = bar("IBM", start);
            feed.bars.push(model::Bar { open: close, high: close, low: close, close, ..bar });
        }
        session = STOCKS.next_session(session.date);
    }
    feed.with_article(article("IBM", NEWS, "<script>alert(1)</script> Results"))
        .with_article(article("IBM", NEWS - 12 * 60 * MINUTE, "At night"))
        .with_article(article("ZZZZ", NEWS, "Of nobody"))
}

#[tokio::test]
async fn the_page_shows_the_mean_path_what_was_left_out_and_why_before_any_script_runs() {
    let site = Site::start().await;
    site.deliver(&feed()).await;
    let page = site.text("/study").await;
    assert!(page.contains("Event study of IBM"), "the first symbol with bars and news\n{page}");
    assert!(
        page.contains("2 articles, 1 used, 1 left out: 1 published while the market was closed"),
        "{page}"
    );
    assert!(page.contains("In the half hour before publication"), "{page}");
    assert!(page.contains("<th scope=\"row\">60</th><td>+1."), "the reaction is one percent\n{page}");
    assert!(!page.contains("<script>alert") && page.contains("&#60;script&#62;alert(1)"), "{page}");
    assert!(page.contains("aria-current=\"page\">Event study"), "{page}");
    let without = site.text("/study?symbol=ZZZZ").await;
    assert!(without.contains("1 left out: 1 no bars of the symbol") && without.contains("no mean path yet"));
    assert_eq!(site.get("/study?symbol=QQQQ").await.status(), 404);
    assert_eq!(site.get("/study?symbol=%3Cb%3E").await.status(), 400);
}

#[tokio::test]
async fn the_api_gives_the_study_of_a_symbol_and_of_each_article() {
    let site = Site::start().await;
    site.deliver(&feed()).await;
    let study = site.json("/api/v1/study?symbol=IBM").await;
    assert_eq!((&study["articles"], &study["used"]), (&2.into(), &1.into()));
    assert_eq!(study["left_out"][0]["reason"], "published while the market was closed");
    assert_eq!(study["minutes"].as_array().unwrap().len(), 91);
    let after = study["reactions"][1]["after_60"].as_f64().unwrap();
    assert!((after - 0.01).abs() < 0.003, "{after}");

    let id = study["reactions"][1]["id"].as_str().unwrap();
    let reaction = site.json(&format!("/api/v1/study/article?symbol=IBM&id={id}")).await;
    assert_eq!(reaction["minutes"][90]["cumulative"].as_f64(), Some(after));
    assert_eq!(reaction["quiet_sessions"], 5);
    let refused = site.get("/api/v1/study/article?symbol=IBM&id=none").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("names no article of IBM"));
    assert_eq!(site.get("/api/v1/study").await.status(), 400);

    let csv = site.text("/api/v1/study.csv?symbol=IBM").await;
    assert_eq!(csv.lines().count(), 1 + 91);
    assert!(csv.lines().last().unwrap().starts_with("IBM,60,1,0.0"), "{csv}");
}

#[tokio::test]
async fn with_nothing_stored_the_page_says_so() {
    let site = Site::start().await;
    let page = site.text("/study").await;
    assert!(page.contains("There is no mean path yet"), "{page}");
}
