//! Headers on every answer, and the names under which the page is served.

use std::time::Duration;

use control::shutdown::Shutdown;
use reqwest::header::HOST;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use web::{Access, Pace};

use crate::events::Events;
use crate::harness::{Feed, OPEN, PATIENCE, Site, article};

#[tokio::test]
async fn every_answer_carries_the_strict_headers() {
    let site = Site::start().await;
    for path in [
        "/",
        "/nothing",
        "/api/v1/symbols",
        "/api/v1/series",
        "/api/nothing",
        "/events",
        "/assets/x",
        "/healthz",
    ] {
        let answer = site.get(path).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self' 'unsafe-inline'",
            "connect-src 'self'",
            "img-src 'self' data: blob:",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        let permissions = header("permissions-policy");
        assert!(permissions.contains("camera=()") && permissions.contains("geolocation=()"), "{path}");
        assert!(!answer.headers().contains_key("strict-transport-security"), "{path}: not by https");
    }
    let public_url = Some("https://ticks.example".parse().unwrap());
    let site = crate::access::guarded(Access { public_url, ..Access::default() }).await;
    for path in ["/login", "/", "/api/v1/symbols"] {
        assert_eq!(site.get(path).await.headers()["strict-transport-security"], "max-age=31536000", "{path}");
    }
}

#[tokio::test]
async fn the_page_holds_no_inline_script() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..3)).await;
    for path in ["/", "/news", "/watchlist", "/nothing"] {
        let page = site.text(path).await;
        for script in page.split("<script").skip(1) {
            assert!(
                script.starts_with(" src=\"/assets/") && script.contains("></script>"),
                "{path}: {script}"
            );
        }
        assert!(!page.contains("javascript:") && !page.contains(" onclick"), "{path}");
    }
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_everywhere() {
    let site = Site::start().await;
    for host in ["rebind.example", "localhost.example:80", "10.1.2.3"] {
        for path in ["/", "/api/v1/symbols", "/events", "/nothing", "/healthz"] {
            let url = format!("{}{path}", site.url);
            let answer = site.client.get(url).header(HOST, host).send().await.unwrap();
            assert_eq!(answer.status(), 421, "{host}{path}");
            assert!(answer.headers().contains_key("content-security-policy"));
            let said = answer.text().await.unwrap();
            assert!(said.contains("localhost, 127.0.0.1"), "{host}{path}");
            assert_eq!(said.starts_with("{\"error\""), path.starts_with("/api/"), "{said}");
        }
    }
    for host in ["localhost:9999", "127.0.0.1", "[::1]:80"] {
        let answer = site.client.get(&site.url).header(HOST, host).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_hostile_headline_stays_text() {
    let headline =
        "<img src=x onerror=alert(1)></script><script>alert(2)</script>\r\ndata: forged\n\nevent: reset";
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..3).with_article(article("AAPL", OPEN, headline))).await;
    assert!(!site.text("/").await.contains("onerror"), "headlines are put in by script, as text");

    let answer = site.get("/api/v1/series?symbol=AAPL").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let series: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(series["news"][0]["headline"], headline);

    let mut stream = Events::open(
        &site,
        "/events?symbol=AAPL&cursor=stock-prices/0:0,news-articles/0:0,volatility/0:0",
        None,
    )
    .await;
    let event = stream.next().await;
    assert_eq!((event.name.as_str(), &event.data["news"][0]["headline"]), ("update", &headline.into()));
}

#[tokio::test]
async fn texts_that_turn_round_are_shown_written_out_and_stay_as_they_are_in_the_api() {
    let headline = "Profit \u{202e}ssol\u{202c} \u{2066}x";
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..3).with_article(article("AAPL", OPEN, headline))).await;
    let page = site.text("/news").await;
    assert!(page.contains("Profit ⟨U+202E⟩ssol⟨U+202C⟩ ⟨U+2066⟩x"), "{page}");
    let turns =
        |text: &str| text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    for path in ["/news", "/study?symbol=AAPL", "/"] {
        assert!(!turns(&site.text(path).await), "{path}");
    }
    // What was typed stays in its field, as it was.
    assert!(site.text("/news?q=a%E2%80%AEb").await.contains("value=\"a\u{202e}b\""));
    let series = site.json("/api/v1/series?symbol=AAPL").await;
    assert_eq!(series["news"][0]["headline"], headline);
}

#[tokio::test]
async fn another_site_leads_to_pages_and_to_nothing_that_costs_work() {
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..3)).await;
    let status = async |path: &str, headers: &[(&str, &str)]| {
        let request = site.client.get(format!("{}{path}", site.url));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap().status().as_u16()
    };
    let costly = [
        "/api/v1/query?sql=SELECT%201",
        "/api/v1/query?sql=SELECT%201&format=csv",
        "/api/v1/export/stock_prices",
        "/api/v1/series?symbol=AAPL",
        "/api/v1/symbols",
        "/api/v1/study?symbol=AAPL",
        "/api/v1/dead-letters.jsonl",
        "/events?symbol=AAPL",
    ];
    let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    for from in ["cross-site", "same-site"] {
        let site = ("sec-fetch-site", from);
        for path in costly {
            assert_eq!(
                status(path, &[site, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]).await,
                403,
                "{path}"
            );
            assert_eq!(status(path, &[site, link[0], link[1]]).await, 403, "{path}");
        }
        for path in ["/", "/explore?sql=SELECT%201", "/news", "/study?symbol=AAPL", "/status"] {
            assert_eq!(status(path, &[site, link[0], link[1]]).await, 200, "{path}");
            assert_eq!(
                status(path, &[site, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]).await,
                403,
                "{path}"
            );
            assert_eq!(status(path, &[site, link[0], ("sec-fetch-dest", "iframe")]).await, 403, "{path}");
        }
    }
    // Browsers without Fetch Metadata say where they come from.
    for name in ["origin", "referer"] {
        for path in costly {
            assert_eq!(status(path, &[(name, "http://foreign.example/page")]).await, 403, "{path}");
        }
        let own = format!("{}/explore", site.url);
        assert_eq!(status(costly[0], &[(name, &own)]).await, 200, "{own}");
    }
    assert_eq!(status("/explore", &[("referer", "https://foreign.example/")]).await, 200);
    for own in ["same-origin", "none"] {
        assert_eq!(status(costly[0], &[("sec-fetch-site", own)]).await, 200, "{own}");
    }
}

// Many connections at once: idle ones, streams, and questions on top.

/// A page that takes so many connections.
async fn narrow(connections: usize) -> Site {
    let pace = Pace { connections: Some(connections), ..Pace::default() };
    Site::with(Access { pace, ..Access::default() }).await
}

async fn idle(site: &Site) -> TcpStream {
    TcpStream::connect(site.url.trim_start_matches("http://")).await.unwrap()
}

#[tokio::test]
async fn idle_connections_and_streams_leave_the_page_reachable() {
    let site = narrow(16).await;
    // Six of the eight places of one address: two are left for pages.
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(Events::open(&site, "/events", None).await);
    }
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(idle(&site).await);
    }
    let refused = site.get("/events").await;
    assert_eq!(refused.status(), 503, "streams have places of their own");
    for _ in 0..3 {
        assert_eq!(site.get("/").await.status(), 200);
        assert_eq!(site.get("/api/v1/status").await.status(), 200);
    }
    // The first of the silent ones had to go; the streams stay.
    let mut byte = [0];
    let closed = tokio::time::timeout(PATIENCE, silent[0].read(&mut byte)).await.expect("it is closed");
    assert!(matches!(closed, Ok(0) | Err(_)));
    streams[0].next().await;
    drop(streams);
    let again = async {
        while site.get("/events").await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("streams that ended give back their places");
}

#[tokio::test]
async fn pages_count_in_the_limit_of_an_address_and_scripts_do_not() {
    let pace = Pace { requests: 1, ..Pace::default() };
    let site = Site::with(Access { pace, ..Access::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..14 {
        statuses.push(site.get("/readyz").await.status().as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(site.get("/").await.status(), 429);
    assert_eq!(site.get("/assets/none.js").await.status(), 404);
    assert_eq!(site.get("/healthz").await.status(), 200);
}

// How the server ends.

#[tokio::test]
async fn draining_and_stopping_end_the_server_with_streams_open() {
    for wish in [Shutdown::Drain, Shutdown::Stop] {
        let site = Site::start().await;
        site.deliver(&Feed::of("AAPL", 0..3)).await;
        let mut open = Events::open(&site, "/events?symbol=AAPL", None).await;
        open.next().await;
        // A viewer that never reads does not hold the server up either.
        let _silent = site.get("/events").await;
        site.end(wish).await.unwrap();
        assert!(open.ended().await);
    }
}
