//! The page as it is before any script runs.

use std::io::Read;
use std::sync::{Arc, Mutex};

use model::service::RunState;
use model::status::ServiceStatus;
use model::time::MINUTE;
use reqwest::header::{ACCEPT_ENCODING, IF_NONE_MATCH};

use crate::harness::{Feed, OPEN, Site, status};

#[tokio::test]
async fn the_table_is_there_before_any_script_runs_sorted_by_realized_volatility() {
    let site = Site::start().await;
    site.deliver(&Feed::of("CALM", 0..3)).await;
    site.deliver(&Feed::of("WILD", 0..9)).await;
    let page = site.text("/").await;
    let line = |symbol: &str| page.find(&format!("<tr data-symbol=\"{symbol}\"")).unwrap();
    assert!(line("WILD") < line("CALM"));
    assert!(page.contains("<td>101.00</td><td>0.800</td>"), "close and realized of WILD in percent");
    assert!(page.contains("2013-10-04 13:39 UTC"), "the end of the window of WILD");
    assert!(page.contains(">Close to close</a>"), "a measure that only the SQL knows has its column");
    assert!(page.contains("data-symbol=\"WILD\" data-sort=\"realized\""), "the most volatile is selected");
    assert!(!page.contains("~clock"));
}

#[tokio::test]
async fn sorting_and_selecting_work_by_plain_links() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAA", 0..9)).await;
    site.deliver(&Feed::of("ZZZ", 0..3)).await;
    let page = site.text("/?symbol=ZZZ&sort=symbol&order=ascending").await;
    let line = |symbol: &str| page.find(&format!("<tr data-symbol=\"{symbol}\"")).unwrap();
    assert!(line("AAA") < line("ZZZ"));
    assert!(page.contains("<tr data-symbol=\"ZZZ\" aria-current=\"true\""));
    assert!(page.contains("data-column=\"symbol\" aria-sort=\"ascending\""));
    assert!(page.contains("?symbol=ZZZ&amp;sort=realized\""));
}

#[tokio::test]
async fn a_thin_window_does_not_hide_the_newest_one_with_enough_bars() {
    let site = Site::start().await;
    // After the last bar, windows go on with fewer and fewer bars.
    site.deliver(&Feed::of("TAIL", 0..9).with_thin_rows("TAIL", 9..40)).await;
    site.deliver(&Feed::default().with_thin_rows("THIN", 0..3)).await;
    let page = site.text("/").await;
    let line = |symbol: &str| {
        let from = page.split(&format!("<tr data-symbol=\"{symbol}\"")).nth(1).unwrap();
        from.split("</tr>").next().unwrap().to_owned()
    };
    assert!(line("TAIL").contains("<td>0.800</td>") && line("TAIL").contains("2013-10-04 13:39 UTC"));
    assert!(line("THIN").contains("2013-10-04 13:33 UTC"), "the newest where none has enough");
    assert!(page.contains("newest window with at least 15 bars, else its newest"), "the rule is said");

    // What was found stays found, and gives way to a newer one with enough bars.
    assert!(site.text("/").await.contains("2013-10-04 13:39 UTC"));
    site.sink(&Feed::of("TAIL", 50..51).with_thin_rows("TAIL", 51..53)).await;
    assert!(site.text("/").await.contains("2013-10-04 14:21 UTC"));
}

#[tokio::test]
async fn a_symbol_of_which_nothing_is_known_is_said_to_be_unknown_beside_those_that_are() {
    let site = Site::start().await;
    assert_eq!(site.get("/?symbol=NOPE").await.status(), 200, "before the first bar everything may come");
    site.deliver(&Feed::of("AAPL", 0..3)).await;
    let missing = site.get("/?symbol=NOPE").await;
    assert_eq!(missing.status(), 404);
    let page = missing.text().await.unwrap();
    assert!(page.contains("<div id=\"unknown\" class=\"hint\">"), "{page}");
    assert!(page.contains("Nothing is known of <span id=\"unknown-symbol\">NOPE</span>"), "{page}");
    assert!(page.contains("<a href=\"?symbol=AAPL\">AAPL</a> </span>"), "{page}");
    let known = site.get("/?symbol=AAPL").await;
    assert_eq!(known.status(), 200);
    assert!(known.text().await.unwrap().contains("<div id=\"unknown\" class=\"hint\" hidden>"));
}

#[tokio::test]
async fn what_stands_still_is_said_in_a_band_and_a_finished_replay_is_not() {
    let site = Site::start().await;
    let hidden = "class=\"stalled\" role=\"alert\" hidden>";
    let finished =
        ServiceStatus { state: RunState::Finished.into(), ..status("producer", OPEN + 9 * MINUTE) };
    site.say(&finished).await;
    site.say(&status("engine", OPEN + 9 * MINUTE)).await;
    assert!(site.text("/").await.contains(hidden));
    // The engine has said nothing since 1970, and has not come to the end.
    site.say(&status("engine", OPEN)).await;
    let page = site.text("/").await;
    assert!(!page.contains(hidden));
    assert!(
        page.contains("engine: behind its sources without a word, since 1970-01-01 00:00 UTC."),
        "{page}"
    );
    assert_eq!(site.json("/api/v1/status").await["stalled"][0]["service"], "engine");
}

#[tokio::test]
async fn an_empty_folder_shows_that_it_waits() {
    let site = Site::start().await;
    let page = site.text("/").await;
    assert!(page.contains("Waiting for the first bars"));
    assert!(page.contains("id=\"no-symbols\" class=\"hint\">"));
}

#[tokio::test]
async fn a_simulation_is_said_and_a_real_market_is_not() {
    let hidden = "class=\"simulation\" aria-label=\"Simulation\" hidden>";
    let shown = "class=\"simulation\" aria-label=\"Simulation\">";
    let site = Site::start().await;
    site.say(&status("producer", OPEN)).await;
    assert!(site.text("/").await.contains(hidden));
    site.say(&ServiceStatus { simulated: true, ..status("producer", OPEN) }).await;
    assert!(site.text("/").await.contains(shown));

    // Bars tell as well, should no service have said anything yet.
    let site = Site::start().await;
    let mut feed = Feed::of("AAPL", 0..1);
    feed.bars[0].source = model::Source::Simulation;
    site.deliver(&feed).await;
    assert!(site.text("/").await.contains(shown));
}

#[tokio::test]
async fn the_status_line_says_how_far_results_are_and_what_was_refused() {
    let site = Site::start().await;
    let mut producer = status("producer", OPEN + 5 * MINUTE);
    producer.source = Some("replay of bars.csv".into());
    producer.counts.insert("rejected".into(), 3);
    let mut engine = status("engine", OPEN + 4 * MINUTE);
    engine.counts.insert("late".into(), 2);
    site.say(&producer).await;
    site.say(&engine).await;
    let page = site.text("/").await;
    for said in [
        "<dd id=\"source\">replay of bars.csv</dd>",
        "2013-10-04 13:34 UTC",
        "<dd id=\"lag\">60 s</dd>",
        "<dd id=\"late\">2</dd>",
        "<dd id=\"rejected\" class=\"warn\">3</dd>",
        "engine <span>running</span>",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_a_page_that_leads_back() {
    let site = Site::start().await;
    let missing = site.get("/nothing").await;
    assert_eq!(missing.status(), 404);
    assert!(missing.text().await.unwrap().contains("href=\"/\""));

    let hostile = site.get("/?symbol=%3Cscript%3Ea()%3C/script%3E").await;
    assert_eq!(hostile.status(), 400);
    let page = hostile.text().await.unwrap();
    assert!(page.contains("letters, digits and") && page.contains("href=\"/\""), "{page}");
    assert!(!page.contains("<script>a()"), "{page}");

    let posted = site.client.post(format!("{}/", site.url)).send().await.unwrap();
    assert_eq!(posted.status(), 405);
}

#[tokio::test]
async fn the_probes_answer() {
    let site = Site::start().await;
    assert_eq!(site.text("/livez").await, "alive\n");
    assert_eq!(site.text("/healthz").await, "alive\n");
    assert_eq!(site.text("/readyz").await, "ready\n");
}

#[tokio::test]
async fn every_page_leads_to_the_others_and_marks_itself() {
    let site = Site::start().await;
    let live = site.text("/").await;
    assert!(live.contains("<a class=\"skip\" href=\"#content\">") && live.contains("<main id=\"content\""));
    let places: Vec<String> = live
        .split("<nav class=\"pages\"")
        .nth(1)
        .and_then(|nav| nav.split("</nav>").next())
        .unwrap()
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    for place in &places {
        let page = site.text(place).await;
        assert!(page.contains(&format!("<a href=\"{place}\" aria-current=\"page\">")), "{place}");
        assert_eq!(page.matches("aria-current=\"page\"").count(), 1, "{place}");
        assert_eq!(page.matches("<h1").count(), 1, "{place}");
    }
    assert!(!site.text("/nothing").await.contains("aria-current=\"page\""));
}

#[tokio::test]
async fn requests_are_counted_by_the_pattern_of_their_route_and_never_by_their_path() {
    let counted = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&counted);
    let observe: web::Observe = Arc::new(move |method, route, status, _| {
        seen.lock().unwrap().push(format!("{method} {route} {status}"));
    });
    let process = web::Process { observe: Some(observe), ..web::Process::default() };
    let site = Site::within(web::Access::default(), process).await;
    site.get("/api/v1/dead-letters/0/4711").await;
    site.get("/made/up/4711").await;
    site.get("/api/v1/status").await;
    let counted = counted.lock().unwrap().clone();
    let expected =
        ["GET /api/v1/dead-letters/{partition}/{offset} 404", "GET other 404", "GET /api/v1/status 200"];
    assert_eq!(counted, expected);
}

// Scripts, styles and plotly.js.

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
