//! The password, sign-ins and tokens, as those who may come use them.

use std::time::Duration;

use outbound::Secret;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode};
use web::{Access, ApiTokens, PasswordHash, SignIn, WebError};

use crate::harness::{Feed, PATIENCE, Site};

pub const PASSWORD: &str = "correct horse battery";

/// A server that asks for [`PASSWORD`].
pub async fn guarded(access: Access) -> Site {
    Site::with(Access { password: Some(PasswordHash::of(PASSWORD).unwrap()), ..access }).await
}

impl Site {
    pub async fn sign_in(&self, password: &str, next: &str) -> Response {
        let form = format!("password={}&next={next}", password.replace(' ', "+"));
        let request = self.client.post(format!("{}/login", self.url));
        request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap()
    }

    /// What the browser holds after signing in.
    pub async fn signed_in(&self) -> String {
        cookie(&self.sign_in(PASSWORD, "/").await)
    }

    pub async fn get_with(&self, path: &str, header: (&str, &str)) -> Response {
        self.client.get(format!("{}{path}", self.url)).header(header.0, header.1).send().await.unwrap()
    }
}

/// Name and value of the cookie that an answer sets.
fn cookie(answer: &Response) -> String {
    answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_password_everybody_on_this_machine_is_let_in() {
    let site = Site::start().await;
    assert_eq!(site.get("/").await.status(), 200);
    assert!(!site.text("/").await.contains("Sign out"));
}

#[tokio::test]
async fn with_a_password_pages_lead_to_the_sign_in_and_back() {
    let site = guarded(Access::default()).await;
    let answer = site.get("/?symbol=BRK.B&sort=close").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let way = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    assert_eq!(way, "/login?next=%2F%3Fsymbol%3DBRK.B%26sort%3Dclose");
    let form = site.text(&way).await;
    assert!(form.contains(r#"name="next" value="/?symbol=BRK.B&#38;sort=close""#), "{form}");
    assert!(!form.contains("Complete until"), "the form shows nothing of the data");

    let answer = site.sign_in(PASSWORD, "%2F%3Fsymbol%3DBRK.B").await;
    assert_eq!(
        (answer.status(), &answer.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &"/?symbol=BRK.B".parse().unwrap())
    );
    let set = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["tickwire=", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "plain http would not send it back: {set}");
    let held = cookie(&answer);
    let page = site.get_with("/", ("cookie", &held)).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("Sign out"));
    assert_eq!(site.get_with("/api/v1/symbols", ("cookie", &held)).await.status(), 200);
}

#[tokio::test]
async fn behind_https_the_cookie_is_secure_and_the_public_name_is_answered() {
    let public_url = Some("https://ticks.example".parse().unwrap());
    let site = guarded(Access { public_url, ..Access::default() }).await;
    let answer = site.sign_in(PASSWORD, "/").await;
    let set = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(
        set.starts_with("__Host-tickwire=") && set.contains("; Secure") && !set.contains("Domain"),
        "{set}"
    );
    assert_eq!(site.get_with("/login", ("host", "ticks.example")).await.status(), 200);
    assert_eq!(site.get_with("/login", ("host", "rebind.example")).await.status(), 421);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_what_streams_under_it() {
    let site = guarded(Access::default()).await;
    site.deliver(&Feed::of("AAPL", 0..3)).await;
    let held = site.signed_in().await;
    let mut stream = site.get_with("/events", ("cookie", &held)).await;
    assert_eq!(stream.status(), 200);
    stream.chunk().await.unwrap().expect("a first event");
    let answer = site.client.post(format!("{}/logout", site.url)).header(COOKIE, &held).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(answer.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(site.get_with("/api/v1/symbols", ("cookie", &held)).await.status(), 401);
    let ended = async { while stream.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends with the session");
}

#[tokio::test]
async fn a_session_that_is_over_lets_nobody_in() {
    let over = SignIn { idle: Duration::ZERO, ..SignIn::default() };
    let site = guarded(Access { sign_in: over, ..Access::default() }).await;
    let held = site.signed_in().await;
    assert_eq!(site.get_with("/api/v1/symbols", ("cookie", &held)).await.status(), 401);
}

#[tokio::test]
async fn a_token_reads_and_the_token_of_the_commands_changes_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let command = web::command_token().unwrap();
    let (api_tokens, command_token) = (Some(file.clone()), Some(command.clone()));
    let site = guarded(Access { api_tokens, command_token, ..Access::default() }).await;
    let (text, token) = ApiTokens::of(&file).with("notebook").unwrap();
    std::fs::write(&file, text).unwrap();
    let program = format!("Bearer {token}");
    assert_eq!(site.get_with("/api/v1/watchlist", ("authorization", &program)).await.status(), 200);
    let put = async |bearer: &str| {
        let request = site.client.put(format!("{}/api/v1/watchlist", site.url)).header("if-match", "0");
        request.header("authorization", bearer).body("[]").send().await.unwrap().status()
    };
    assert_eq!(put(&program).await, 403);
    assert_eq!(put(&format!("Bearer {}", command.expose())).await, 200);
    std::fs::write(&file, "").unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(site.get_with("/api/v1/watchlist", ("authorization", &program)).await.status(), 401);
}

#[tokio::test]
async fn questions_and_files_are_for_those_who_signed_in_and_a_token_replays_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let site = guarded(Access { api_tokens: Some(file.clone()), ..Access::default() }).await;
    let (text, token) = ApiTokens::of(&file).with("notebook").unwrap();
    std::fs::write(&file, text).unwrap();
    let program = format!("Bearer {token}");
    for page in ["/explore?sql=SELECT+1", "/status", "/status/dead-letters/0/0"] {
        assert_eq!(site.get(page).await.status(), StatusCode::SEE_OTHER, "{page}");
    }
    for (path, status) in [("query?sql=SELECT+1", 200), ("measurements", 200), ("export/nothing", 404)] {
        let path = format!("/api/v1/{path}");
        assert_eq!(site.get(&path).await.status(), 401, "{path}");
        assert_eq!(site.get_with(&path, ("authorization", &program)).await.status(), status, "{path}");
    }
    let post = async |path: &str, fields: &[(&str, &str)]| {
        site.post_form(path, fields).header("authorization", &program).send().await.unwrap().status()
    };
    assert_eq!(post("/api/v1/query", &[("sql", "SELECT 1")]).await, 200);
    assert_eq!(post("/api/v1/query", &[("sql", &"x ".repeat(3_000))]).await, 400);
    assert_eq!(post("/api/v1/query", &[("sql", &"x".repeat(200 << 10))]).await, 413);
    assert_eq!(post("/status/replay", &[("place", "listed")]).await, 403);
}

#[tokio::test]
async fn an_empty_command_token_is_none() {
    let site = guarded(Access { command_token: Some(Secret::default()), ..Access::default() }).await;
    for bearer in ["Bearer ", "Bearer", "Bearer  ", "Basic Og=="] {
        assert_eq!(
            site.get_with("/api/v1/symbols", ("authorization", bearer)).await.status(),
            401,
            "{bearer:?}"
        );
    }
}

#[test]
fn other_machines_are_listened_to_with_a_password_only() {
    let password = Some(PasswordHash::of(PASSWORD).unwrap());
    for (address, guarded_only) in [
        ("127.0.0.1:80", false),
        ("[::1]:80", false),
        ("0.0.0.0:80", true),
        ("192.0.2.1:80", true),
        ("[::]:80", true),
    ] {
        let refused = Access::default().check(address.parse().unwrap());
        assert_eq!(matches!(refused, Err(WebError::Unguarded { .. })), guarded_only, "{address}");
        assert!(
            Access { password: password.clone(), ..Access::default() }
                .check(address.parse().unwrap())
                .is_ok()
        );
    }
    let told = Access::default().check("0.0.0.0:80".parse().unwrap()).unwrap_err().to_string();
    assert!(told.contains("tickwire web set-password"), "{told}");
}
