//! Measurements as files, of any length.

use std::time::Duration;

use web::{Access, Pace};

use crate::harness::{Feed, OPEN, PATIENCE, Site};

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
