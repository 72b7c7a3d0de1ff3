//! Scripts, styles and plotly.js.

use std::io::Read;

use crate::harness::{Feed, Site};
use reqwest::header::{ACCEPT_ENCODING, IF_NONE_MATCH};

/// The addresses under `/assets/` that a page names.
fn named(page: &str) -> Vec<String> {
    page.split('"').filter(|part| part.starts_with("/assets/")).map(str::to_owned).collect()
}

async fn gzipped(site: &Site, path: &str) -> Vec<u8> {
    let url = format!("{}{path}", site.url);
    let answer = site.client.get(url).header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
    // From the first moment on.
    assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn everything_that_the_page_names_is_served_for_ever_under_its_content() {
    let site = Site::start().await;
    let paths = named(&site.text("/").await);
    assert!(
        paths.iter().any(|path| path.ends_with("app.js"))
            && paths.iter().any(|path| path.contains("plotly-"))
    );
    for path in paths {
        let answer = site.get(&path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable", "{path}");
        assert_eq!(answer.headers()["vary"], "accept-encoding", "{path}");
        assert!(!answer.headers().contains_key("content-encoding"), "{path}: gzip was not asked for");
        let etag = answer.headers()["etag"].clone();
        let url = format!("{}{path}", site.url);
        let again = site.client.get(url).header(IF_NONE_MATCH, etag).send().await.unwrap();
        assert_eq!(again.status(), 304, "{path}");
    }
}

#[tokio::test]
async fn what_is_compressed_is_what_is_served_plain() {
    let site = Site::start().await;
    for path in named(&site.text("/").await) {
        let plain = site.get(&path).await.bytes().await.unwrap();
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(gzipped(&site, &path).await.as_slice()).read_to_end(&mut text).unwrap();
        assert_eq!(text.len(), plain.len(), "{path}");
        assert!(text == plain, "{path}");
    }
}

#[tokio::test]
async fn the_first_load_stays_under_its_weight() {
    let site = Site::start().await;
    let mut bytes = site.text("/").await.len();
    for path in named(&site.text("/").await) {
        bytes += gzipped(&site, &path).await.len();
    }
    assert!(bytes < 1_600_000, "{bytes} bytes");
}

#[tokio::test]
async fn a_later_load_is_light() {
    let site = Site::start().await;
    let mut feed = Feed::of("AAPL", 0..2 * 390);
    // Prices and measures as they are in a market: no two alike.
    let mut noise = 1_u64;
    let mut next = || {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 11) as f64 / (1_u64 << 53) as f64
    };
    for bar in feed.bars.iter_mut().filter(|bar| !bar.is_heartbeat()) {
        (bar.close, bar.volume) = (100.0 + (next() * 100.0).floor() / 100.0, (next() * 1e5).floor());
    }
    for row in &mut feed.rows {
        row["realized"] = next().into();
        row["close_to_close"] = next().into();
        row["log_return"] = next().into();
    }
    site.deliver(&feed).await;
    let mut bytes = site.text("/").await.len();
    for path in ["/api/v1/series?symbol=AAPL&compact=true", "/api/v1/symbols"] {
        let url = format!("{}{path}", site.url);
        let answer = site.client.get(url).header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
        bytes += answer.bytes().await.unwrap().len();
    }
    assert!(bytes < 50_000, "{bytes} bytes");
}

#[tokio::test]
async fn an_address_of_another_version_is_not_found() {
    let site = Site::start().await;
    for path in [
        "/assets/0123456789abcdef/app.js",
        "/assets/plotly-0.min.js",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/x",
    ] {
        assert_eq!(site.get(path).await.status(), 404, "{path}");
    }
}
