//! Questions in SQL: the page by its plain form, and the API for programs.

use std::io::Read;
use std::time::Duration;

use model::AssetClass;
use model::calendar::Calendar;
use model::time::{MINUTE, Millis};
use serde_json::json;
use url::form_urlencoded;
use web::{Access, Pace};

use crate::harness::{Feed, OPEN, PATIENCE, Site, article, bar};

fn asked(path: &str, sql: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("{path}?{}", query.append_pair("sql", sql).finish())
}

async fn filled() -> Site {
    let site = Site::start().await;
    let hostile = article("AAPL", OPEN, "<script>alert(1)</script>");
    site.deliver(&Feed::of("AAPL", 0..40).with_article(hostile)).await;
    site.deliver(&Feed::of("IBM", 0..10)).await;
    site
}

#[tokio::test]
async fn a_plain_form_brings_the_answer_as_a_table_with_its_files() {
    let site = filled().await;
    let sql = "SELECT symbol, count(*) AS bars FROM stock_prices GROUP BY symbol ORDER BY symbol";
    let page = site.text(&asked("/explore", sql)).await;
    assert!(page.contains("<form class=\"panel query\" id=\"query\" action=\"/explore\" method=\"get\">"));
    assert!(page.contains(&format!(">{sql}</textarea>")), "{page}");
    assert!(page.contains("<td class=\"text\">AAPL</td><td>40</td>"), "{page}");
    assert!(page.contains("2 rows in "));
    let file = page.split("href=\"/api/v1/query?").nth(1).unwrap().split('"').next().unwrap();
    let csv = site.text(&format!("/api/v1/query?{}", file.replace("&#38;", "&"))).await;
    assert_eq!(csv, "symbol,bars\nAAPL,40\nIBM,10\n");
}

#[tokio::test]
async fn what_is_stored_is_listed_with_examples_that_all_run() {
    let site = filled().await;
    let page = site.text("/explore").await;
    assert!(page.contains("<code>jump_share</code> <span class=\"quiet\">float</span>"), "{page}");
    let links: Vec<_> = page.split("href=\"/explore?").skip(1).collect();
    assert!(links.len() > 6);
    for link in links {
        let address = format!("/explore?{}", link.split('"').next().unwrap());
        let answer = site.get(&address).await;
        assert_eq!(answer.status(), 200, "{address}: {}", answer.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_mistake_is_shown_with_its_place_and_the_statement_kept() {
    let site = filled().await;
    let answer = site.get(&asked("/explore", "SELECT close\nFORM stock_prices WHERE 1 = 1")).await;
    assert_eq!(answer.status(), 400);
    let page = answer.text().await.unwrap();
    assert!(page.contains("line 2, character") && page.contains("aria-invalid=\"true\""), "{page}");
    assert!(page.contains("SELECT close\nFORM stock_prices"), "the statement is kept");
    for refused in ["DROP TABLE stock_prices", "INSERT INTO stock_prices VALUES (1)", "SELECT 1; SELECT 2"] {
        let answer = site.get(&asked("/explore", refused)).await;
        assert_eq!(answer.status(), 400, "{refused}");
        assert!(answer.text().await.unwrap().contains("only one SELECT"), "{refused}");
    }
    let error = site.json(&asked("/api/v1/query", "SELECT nothing FROM stock_prices")).await;
    assert_eq!(error["error"]["parameter"], "sql");
    assert!(error["error"]["message"].as_str().unwrap().contains("nothing"), "{error}");
}

#[tokio::test]
async fn stored_markup_stays_text_in_an_answer() {
    let site = filled().await;
    let page =
        site.text(&asked("/explore", "SELECT headline, '<img src=x>' AS \"<b>\" FROM news_articles")).await;
    assert!(page.contains("&#60;script&#62;alert(1)") && page.contains("&#60;img src=x&#62;"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains("<img") && !page.contains("<b><"));
}

#[tokio::test]
async fn a_statement_that_another_site_brings_waits_until_it_is_asked_here() {
    let site = filled().await;
    let sql = "SELECT count(*) AS bars FROM stock_prices";
    for foreign in [("sec-fetch-site", "cross-site"), ("referer", "https://foreign.example/")] {
        let page = site.get_with(&asked("/explore", sql), foreign).await;
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        assert!(page.contains("it has not been run") && !page.contains("id=\"answer\""), "{page}");
    }
    let own = site.get_with(&asked("/explore", sql), ("sec-fetch-site", "same-origin")).await;
    assert!(own.text().await.unwrap().contains("id=\"answer\""));
}

#[tokio::test]
async fn a_program_asks_by_address_or_form_and_gets_columns_with_their_types() {
    let site = filled().await;
    let sql =
        "SELECT start_timestamp, symbol, close FROM stock_prices WHERE symbol = 'IBM' ORDER BY 1 LIMIT 1";
    let wanted = json!({
        "columns": [
            {"name": "start_timestamp", "type": "time"}, {"name": "symbol", "type": "text"}, {"name": "close", "type": "float"},
        ],
        "rows": [[OPEN, "IBM", 101.0]],
        "cut": false,
    });
    assert_eq!(site.json(&asked("/api/v1/query", sql)).await, wanted);
    let form = site.post_form("/api/v1/query", &[("sql", sql)]).send().await.unwrap();
    assert_eq!(form.json::<serde_json::Value>().await.unwrap(), wanted);
    let missing = site.get("/api/v1/query").await;
    assert_eq!(missing.status(), 400);
    assert!(missing.text().await.unwrap().contains("`sql` is missing: write one statement"));
}

/// An answer of some megabytes.
const LONG: &str =
    "SELECT a.symbol, replace(lower('AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'), 'a', 'bbbbbbbbbb') AS text
                    FROM stock_prices a CROSS JOIN stock_prices b CROSS JOIN stock_prices c LIMIT 20000";

#[tokio::test]
async fn answers_that_nobody_reads_hold_no_place_of_a_question() {
    let site = filled().await;
    let mut unread = Vec::new();
    for format in ["", "&format=csv", "&format=json", ""] {
        let path = format!("{}{format}", asked("/api/v1/query", LONG));
        let answer = async {
            loop {
                let answer = site.get(&path).await;
                if answer.status() != 503 {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("no place for a question");
        assert_eq!(answer.status(), 200);
        unread.push(answer);
    }
    let found = site.json(&asked("/api/v1/query", "SELECT 1 AS one")).await;
    assert_eq!(found["rows"], json!([[1]]));
    // What was not read until now is whole.
    let csv = unread.remove(1).text().await.unwrap();
    assert_eq!(csv.lines().count(), 20_001);
    let found: serde_json::Value = unread.remove(0).json().await.unwrap();
    assert_eq!((found["rows"].as_array().unwrap().len(), &found["cut"]), (20_000, &json!(false)));
    assert_eq!(found["columns"][1], json!({"name": "text", "type": "text"}));
}

#[tokio::test]
async fn a_long_answer_is_compressed_where_that_is_taken() {
    let site = filled().await;
    let answer = site.get_with(&asked("/api/v1/query", LONG), ("accept-encoding", "gzip")).await;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let mut text = String::new();
    let bytes = answer.bytes().await.unwrap();
    flate2::read::GzDecoder::new(bytes.as_ref()).read_to_string(&mut text).unwrap();
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["rows"].as_array().unwrap().len(), 20_000);
}

#[tokio::test]
async fn a_long_answer_is_cut_at_its_bytes_and_says_so() {
    let site = filled().await;
    let sql = "SELECT replace('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb') AS text
               FROM stock_prices a CROSS JOIN stock_prices b CROSS JOIN stock_prices c";
    let found = site.json(&asked("/api/v1/query", sql)).await;
    let rows = found["rows"].as_array().unwrap().len();
    assert!(
        (10_000..50_000).contains(&rows) && found["cut"] == json!(true),
        "{rows} rows, cut: {}",
        found["cut"]
    );
}

// The event study: its page, readable without a script, and its API.

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

// Measurements as files, of any length.

#[tokio::test]
async fn a_measurement_comes_whole_as_csv_json_and_parquet() {
    let site = Site::start().await;
    // More than is read at once.
    site.deliver(&Feed::of("AAPL", 0..6_000)).await;
    site.deliver(&Feed::of("BRK.B", 0..3)).await;
    let csv = site.get("/api/v1/export/stock_prices?symbol=AAPL").await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(csv.headers()["content-disposition"], "attachment; filename=\"stock_prices-AAPL.csv\"");
    let csv = csv.text().await.unwrap();
    assert_eq!(csv.lines().count(), 6_001);
    assert!(csv.starts_with("symbol,start_timestamp,end_timestamp,open"), "{}", &csv[..80]);
    assert!(!csv.contains('~'), "no heartbeat");

    let all = site.text("/api/v1/export/stock_prices?format=json").await;
    assert_eq!(all.lines().count(), 6_003);
    let last: serde_json::Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    assert_eq!((last["symbol"].as_str(), last["close"].as_f64()), (Some("BRK.B"), Some(101.0)));

    let parquet = site.get("/api/v1/export/stock_prices?format=parquet&symbol=BRK.B").await;
    assert_eq!(parquet.headers()["content-type"], "application/vnd.apache.parquet");
    let parquet = parquet.bytes().await.unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[tokio::test]
async fn a_span_of_time_is_cut_out() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..30)).await;
    let span = format!("from={}&to={}", OPEN + 60_000, OPEN + 180_000);
    let csv = site.text(&format!("/api/v1/export/stock_prices?{span}&symbol=&format=")).await;
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_with_what_can() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..1)).await;
    for (path, status, said) in [
        ("/api/v1/export/nothing", 404, "there are: gaps, news_articles, stock_prices, volatility"),
        ("/api/v1/export/stock_prices?format=xlsx", 400, "`format` must be `csv`"),
        ("/api/v1/export/stock_prices?symbol=~clock0", 400, "heartbeats"),
        ("/api/v1/export/stock_prices?from=soon", 400, "`from` is no time"),
        ("/api/v1/export/..%2F..%2Fpassword", 404, "there is no measurement"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(said), "{path}: {text}");
    }
}

#[tokio::test]
async fn downloads_that_nobody_reads_take_no_more_than_their_places() {
    // None is slow yet.
    let pace = Pace { reader: 4 * PATIENCE, ..Pace::default() };
    let site = Site::with(Access { pace, ..Access::default() }).await;
    site.deliver(&Feed::of("AAPL", 0..20_000)).await;
    let mut held = Vec::new();
    let refused = loop {
        let answer = site.get("/api/v1/export/stock_prices?format=json").await;
        match answer.status().as_u16() {
            200 => held.push(answer),
            status => {
                let wait = answer.headers().get("retry-after").cloned();
                break (status, answer.text().await.unwrap(), wait);
            }
        }
        assert!(held.len() <= 8);
    };
    assert_eq!(refused.0, 503);
    let wait = refused.2.expect("it is said when to try again");
    assert!(wait.to_str().unwrap().parse::<u32>().unwrap() > 0);
    assert!(refused.1.contains("8 files are being downloaded already"), "{}", refused.1);
    // Who goes away gives the place back.
    drop(held);
    let again = async {
        while site.get("/api/v1/export/stock_prices?to=1000").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the places are never given back");
}

#[tokio::test]
async fn a_download_that_nobody_reads_loses_its_place_to_one_that_is_read() {
    const UNREAD_FOR: Duration = Duration::from_millis(50);
    let pace = Pace { reader: UNREAD_FOR, ..Pace::default() };
    let site = Site::with(Access { pace, ..Access::default() }).await;
    site.deliver(&Feed::of("AAPL", 0..20_000)).await;
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(site.get("/api/v1/export/stock_prices?format=json").await);
    }
    // Also those that come after the places are taken again.
    for _ in 0..3 {
        let whole = async {
            loop {
                let answer = site.get("/api/v1/export/stock_prices?format=csv").await;
                // On a busy machine this reader too may be found to stand still, and be cut off.
                if answer.status() == 200
                    && let Ok(whole) = answer.text().await
                {
                    return whole;
                }
                // Asked without a pause, this address would come to its limit of requests.
                tokio::time::sleep(UNREAD_FOR).await;
            }
        };
        let whole = tokio::time::timeout(PATIENCE * 4, whole).await.expect("no place for who reads");
        assert_eq!(whole.lines().count(), 20_001);
        unread.push(site.get("/api/v1/export/stock_prices?format=json").await);
    }
    let mut cut = 0;
    for answer in unread {
        match answer.text().await {
            Ok(whole) => assert_eq!(whole.lines().count(), 20_000, "half a file passes for a whole one"),
            Err(_) => cut += 1,
        }
    }
    // Some may have found room in the buffers of the connection, but not all.
    assert!(cut >= 1, "nobody lost a place");
}
