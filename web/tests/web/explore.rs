//! Questions in SQL: the page by its plain form, and the API for programs.

use std::io::Read;

use serde_json::json;
use url::form_urlencoded;

use crate::harness::{Feed, OPEN, PATIENCE, Site, article};

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
