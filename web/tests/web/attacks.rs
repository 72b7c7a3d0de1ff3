//! A scripted attacker: everything is refused with the right status, said in
//! the log, and changes nothing.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;
use web::{Access, Pace};

use crate::access::{PASSWORD, device, guarded};
use crate::harness::{Feed, OPEN, PATIENCE, Site, article};

/// What the program logs, kept.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    /// Keeps what this thread logs from now on.
    fn listen() -> (Logged, tracing::subscriber::DefaultGuard) {
        // While there is one subscriber only, what is logged first on the thread of
        // another test is taken for unwanted everywhere: a second one that takes nothing.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
        LazyLock::force(&SECOND);
        let logged = Logged::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(logged.clone()).finish();
        (logged, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logged {
    type Writer = Logged;

    fn make_writer(&'a self) -> Logged {
        self.clone()
    }
}

impl Site {
    /// Sends bytes as they are; gives the whole answer.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut connection = TcpStream::connect(self.url.trim_start_matches("http://")).await.unwrap();
        connection.write_all(bytes.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        let read = async {
            // A reset after the answer is an end as well.
            let mut part = [0; 4_096];
            while let Ok(count @ 1..) = connection.read(&mut part).await {
                answer.extend_from_slice(&part[..count]);
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the connection is closed");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn version(&self) -> u64 {
        control::watchlist::read(&*self.log).await.unwrap().version
    }
}

#[tokio::test]
async fn changes_for_another_site_are_refused_and_logged() {
    let (logged, _listening) = Logged::listen();
    let site = guarded(Access::default()).await;
    let held = site.signed_in().await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://rebind.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
    ] {
        for (method, path) in
            [(Method::PUT, "/api/v1/watchlist"), (Method::POST, "/logout"), (Method::POST, "/login")]
        {
            let request = site.client.request(method.clone(), format!("{}{path}", site.url));
            let request = request.header("cookie", &held).header("if-match", "0").header(name, value);
            let answer = request.body("[{\"symbol\":\"AAPL\"}]").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path} {name}: {value}");
        }
    }
    assert_eq!(site.version().await, 0);
    assert_eq!(site.get_with("/api/v1/symbols", ("cookie", &held)).await.status(), 200, "still signed in");
    let logged = logged.text();
    assert_eq!(logged.matches("status=403").count(), 15, "{logged}");
    assert!(logged.contains("path=\"/api/v1/watchlist\"") && logged.contains("client=127.0.0.1"), "{logged}");
}

#[tokio::test]
async fn forged_cookies_and_tokens_let_nobody_in_and_are_not_logged() {
    let (logged, _listening) = Logged::listen();
    let site = guarded(Access::default()).await;
    let held = site.signed_in().await;
    let (name, value) = held.split_once('=').unwrap();
    let zeros = "0".repeat(64);
    for forged in [
        String::new(),
        zeros.clone(),
        value[..63].to_owned(),
        format!("{value}0"),
        value.to_uppercase(),
        "../../etc/passwd".into(),
        "x".repeat(6_000),
    ] {
        let answer = site.get_with("/api/v1/symbols", ("cookie", &format!("{name}={forged}"))).await;
        assert_eq!(answer.status(), 401, "{forged}");
        let answer = site.get_with("/events", ("authorization", &format!("Bearer {forged}"))).await;
        assert_eq!(answer.status(), 401, "{forged}");
    }
    let answer = site.get_with("/api/v1/symbols", ("authorization", &format!("Bearer {value}"))).await;
    assert_eq!(answer.status(), 401, "a session is no token");
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    let logged = logged.text();
    assert!(logged.contains("status=401") && !logged.contains(&zeros) && !logged.contains(value), "{logged}");
}

#[tokio::test]
async fn guessing_the_password_is_slowed_down_and_logged_without_what_was_guessed() {
    let (logged, _listening) = Logged::listen();
    // A guess that waits at all waits for an hour: others are told to come later.
    let pace = Pace { sign_ins: 3, sign_in_wait: Duration::from_secs(3_600), ..Pace::default() };
    let site = guarded(Access { pace, ..Access::default() }).await;
    let device = device(&site.sign_in(PASSWORD, "/").await);
    for guess in ["password", "letmein-letmein", "correct horse batterz", "again"] {
        assert_eq!(site.sign_in(guess, "/").await.status(), 401);
    }
    let post = async |header: (&str, &str), guess: &str, patience| {
        let form = site.post_form("/login", &[("password", guess)]).header(header.0, header.1);
        tokio::time::timeout(patience, form.send()).await.map(|answer| answer.unwrap())
    };
    // Without a trusted proxy, a made-up address changes nothing. The next ones wait their hours.
    let answer = loop {
        let guess = post(("x-forwarded-for", "198.51.100.7"), "guess", Duration::from_millis(100));
        if let Ok(answer) = guess.await {
            break answer;
        }
    };
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 3_600);
    // Whoever has signed in from this browser before does so again, wherever others guess from.
    let answer = site.post_form("/login", &[("password", PASSWORD)]).header("cookie", &device).send();
    assert_eq!(answer.await.unwrap().status(), StatusCode::SEE_OTHER);
    let forged = format!("{device}0");
    let answer = post(("cookie", &forged), PASSWORD, PATIENCE).await.expect("an answer at once");
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "a forged browser is none");
    let logged = logged.text();
    assert!(logged.contains("wrong name or password") && logged.contains("status=429"), "{logged}");
    assert!(!logged.contains("letmein") && !logged.contains("batter"), "{logged}");
}

#[tokio::test]
async fn after_many_wrong_passwords_the_right_one_waits_and_is_taken() {
    let pace = Pace { sign_ins: 2, sign_in_wait: Duration::from_millis(50), ..Pace::default() };
    let site = guarded(Access { pace, ..Access::default() }).await;
    for _ in 0..7 {
        assert_eq!(site.sign_in("not the password", "/").await.status(), 401);
    }
    assert_eq!(site.sign_in(PASSWORD, "/").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_api_is_limited_by_address_and_says_when_to_come_again() {
    let site =
        Site::with(Access { pace: Pace { requests: 1, ..Pace::default() }, ..Access::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(site.get("/api/v1/status").await.status().as_u16());
    }
    assert_eq!(statuses[..10], [200; 10]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(site.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn a_sign_in_never_leads_to_another_site() {
    let site = guarded(Access { pace: Pace { sign_ins: 100, ..Pace::default() }, ..Access::default() }).await;
    for next in [
        "https://rebind.example",
        "//rebind.example",
        "/%5Crebind.example",
        "%2F%2Frebind.example",
        "/%0D%0ASet-Cookie:x=y",
    ] {
        let answer = site.sign_in(PASSWORD, next).await;
        assert_eq!(answer.headers()["location"], "/", "{next}");
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2, "the session and the browser");
    }
    let form = site.text("/login?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!form.contains("alert"), "{form}");
}

#[tokio::test]
async fn bodies_too_long_or_malformed_are_refused() {
    let site = guarded(Access { pace: Pace { sign_ins: 100, ..Pace::default() }, ..Access::default() }).await;
    let send = async |kind: &str, body: Vec<u8>| {
        let request = site.client.post(format!("{}/login", site.url)).header("content-type", kind);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(send(form, format!("password={}", "x".repeat(17 << 10)).into_bytes()).await, 413);
    assert_eq!(send(form, b"next=/".to_vec()).await, 422);
    assert_eq!(send(form, vec![0xff; 100]).await, 422);
    assert_eq!(send("application/json", b"{\"password\":\"x\"}".to_vec()).await, 415);
    let held = site.signed_in().await;
    let put = async |path: &str, body: Vec<u8>| {
        let request =
            site.client.put(format!("{}{path}", site.url)).header("if-match", "0").header("cookie", &held);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let said: serde_json::Value = answer.json().await.unwrap();
        assert!(said["error"]["message"].as_str().is_some_and(|said| said.len() > 10), "{said}");
        status
    };
    assert_eq!(put("/api/v1/watchlist", vec![b' '; 2 << 20]).await, 413);
    for body in
        [&b"["[..], b"{}", b"[{\"symbol\":\"<script>\"}]", b"[{\"search_term\":\"(\"}]", &[0xff, 0xfe]]
    {
        assert_eq!(put("/api/v1/watchlist", body.to_vec()).await, 422, "{body:?}");
    }
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(put("/api/v1/watchlist", nested.into_bytes()).await, 422);
    assert_eq!(site.version().await, 0);
}

#[tokio::test]
async fn a_body_that_never_ends_is_waited_for_no_longer_than_a_request_may_take() {
    let pace = Pace { patience: Duration::from_millis(200), ..Pace::default() };
    let site = Site::with(Access { pace, ..Access::default() }).await;
    let head = "PUT /api/v1/watchlist HTTP/1.1\r\nhost: localhost\r\nif-match: 0\r\nconnection: close\r\ncontent-length: 50\r\n\r\n[";
    let answer = site.raw(head).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn no_path_leads_out_of_the_assets_or_past_the_guard() {
    let site = guarded(Access::default()).await;
    for path in [
        "/assets/../api/v1/symbols",
        "/assets/%2e%2e/api/v1/symbols",
        "/assets/..%2f..%2fetc/passwd",
        "/assets//etc/passwd",
        "/assets/%00",
        "//api/v1/symbols",
        "/API/v1/symbols",
        "/login/../api/v1/symbols",
        "/healthz/",
        "/api/v1/symbols;/assets/x",
        "/api/v1/symbols%3f/login",
    ] {
        let answer =
            site.raw(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
        let status = &answer[9..12];
        assert!(matches!(status, "303" | "401" | "404" | "400"), "{path}: {answer}");
        assert!(!answer.contains("\"symbols\"") && !answer.contains("root:"), "{path}");
    }
}

#[tokio::test]
async fn headers_cannot_be_injected_and_hosts_cannot_be_rebound() {
    let (logged, _listening) = Logged::listen();
    let site = guarded(Access::default()).await;
    for request in [
        "GET / HTTP/1.1\r\nhost: rebind.example\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nhost: rebind.example\r\n",
        "GET http://rebind.example/ HTTP/1.1\r\nhost: localhost\r\n",
        "GET / HTTP/1.1\r\nhost: localhost@rebind.example\r\n",
        "GET / HTTP/1.1\r\n",
    ] {
        let answer = site.raw(format!("{request}connection: close\r\n\r\n")).await;
        assert!(
            answer.starts_with("HTTP/1.1 421 ") || answer.starts_with("HTTP/1.1 400 "),
            "{request}: {answer}"
        );
    }
    let split = "GET /?next=%0d%0aset-cookie:%20a=b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = site.raw(split).await;
    assert!(answer.starts_with("HTTP/1.1 303 ") && !answer.contains("\r\nset-cookie: a=b"), "{answer}");
    for broken in
        ["GET / HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n", "GET /\r\n\r\n", "\u{16}\u{3}\u{1}"]
    {
        let answer = site.raw(format!("{broken}\r\n\r\n")).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{broken:?}: {answer}");
    }
    let many: String = (0..200).map(|n| format!("x-{n}: {}\r\n", "y".repeat(100))).collect();
    let answer =
        site.raw(format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}connection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let logged = logged.text();
    assert!(logged.contains("rebind.example") && logged.contains("status=421"), "{logged}");
}

#[tokio::test]
async fn script_in_headlines_and_terms_never_becomes_markup() {
    let evil = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    let site = Site::start().await;
    site.deliver(&Feed::of("AAPL", 0..3).with_article(article("AAPL", OPEN, evil))).await;
    let put = site.client.put(format!("{}/api/v1/watchlist", site.url)).header("if-match", "0");
    let term = serde_json::json!([{ "symbol": "AAPL", "search_term": "\"<script>alert(3)</script>\"" }]);
    put.body(term.to_string()).send().await.unwrap();
    for path in [
        "/",
        "/?symbol=AAPL",
        "/?symbol=%3Cscript%3E",
        "/?sort=%22onmouseover=alert(4)",
        "/%3Cscript%3Ealert(5)",
    ] {
        let page = site.text(path).await;
        assert!(
            !page.contains("<script>") && !page.contains("onerror") && !page.contains("\"onmouseover"),
            "{path}"
        );
    }
}
