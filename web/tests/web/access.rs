//! The password, sign-ins and tokens, as those who may come use them.

use std::time::Duration;

use net::Secret;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode};
use web::{Access, ApiTokens, PasswordHash, PeopleFile, Proxies, ProxyNames, Role, SignIn, WebError};

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

/// Name and value of the cookie of the session that an answer sets.
fn cookie(answer: &Response) -> String {
    answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Name and value of the cookie by which a browser is known again.
pub fn device(answer: &Response) -> String {
    let mut set = answer.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let cookie = set.find(|cookie| cookie.starts_with("tickwire-device=")).unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/login", "; Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

/// A folder with the files of access, and an [`Access`] by them.
struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Sandbox {
        Sandbox { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn access(&self) -> Access {
        Access {
            password_file: Some(self.path("password")),
            people: Some(self.path("people")),
            api_tokens: Some(self.path("tokens")),
            ..Access::default()
        }
    }

    fn owner(&self, password: &str) {
        std::fs::write(self.path("password"), PasswordHash::of(password).unwrap().expose()).unwrap();
    }

    fn person(&self, name: &str, role: Role, password: &str) {
        let hash = PasswordHash::of(password).unwrap();
        let text = PeopleFile::of(&self.path("people")).with(name, role, hash).unwrap();
        std::fs::write(self.path("people"), text).unwrap();
    }

    fn token(&self, name: &str) -> String {
        let (text, token) = ApiTokens::of(&self.path("tokens")).with(name).unwrap();
        std::fs::write(self.path("tokens"), text).unwrap();
        format!("Bearer {token}")
    }
}

impl Site {
    /// What the browser holds after somebody has signed in.
    async fn signed_in_as(&self, name: &str, password: &str) -> String {
        let answer =
            self.post_form("/login", &[("name", name), ("password", password)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{name}");
        cookie(&answer)
    }

    async fn watch(&self, version: u64, header: (&str, &str)) -> Response {
        let put = self.client.put(format!("{}/api/v1/watchlist", self.url)).header(header.0, header.1);
        let list = format!("[{{\"symbol\":\"S{version}\"}}]");
        put.header("if-match", version.to_string()).body(list).send().await.unwrap()
    }
}

async fn ends(stream: &mut Response) {
    let ended = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the stream ends");
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

#[tokio::test]
async fn what_streams_ends_with_its_token_and_with_a_password_that_changes() {
    let sandbox = Sandbox::new();
    sandbox.owner(PASSWORD);
    sandbox.person("anna", Role::Owner, "a horse of her own");
    sandbox.person("bob", Role::Viewer, "another horse now");
    let token = sandbox.token("notebook");
    let other = sandbox.token("other");
    let site = Site::with(sandbox.access()).await;
    let owner = site.signed_in().await;
    let (anna, bob) = (
        site.signed_in_as("anna", "a horse of her own").await,
        site.signed_in_as("bob", "another horse now").await,
    );
    let mut streams = Vec::new();
    for held in [("authorization", &token), ("cookie", &owner), ("cookie", &anna), ("cookie", &bob)] {
        let mut stream = site.get_with("/events", (held.0, held.1)).await;
        stream.chunk().await.unwrap().expect("a first event");
        streams.push(stream);
    }
    let mut kept = site.get_with("/events", ("authorization", &other)).await;
    kept.chunk().await.unwrap().expect("a first event");
    let [by_token, by_owner, by_anna, by_bob] = &mut streams[..] else { unreachable!() };

    let text = ApiTokens::of(&sandbox.path("tokens")).without("notebook").unwrap();
    std::fs::write(sandbox.path("tokens"), text).unwrap();
    ends(by_token).await;
    sandbox.person("anna", Role::Viewer, "a horse of her own");
    ends(by_anna).await;
    std::fs::write(sandbox.path("people"), PeopleFile::of(&sandbox.path("people")).without("bob").unwrap())
        .unwrap();
    ends(by_bob).await;
    sandbox.owner("an altogether new horse");
    ends(by_owner).await;
    for held in [("authorization", &token), ("cookie", &owner), ("cookie", &anna), ("cookie", &bob)] {
        assert_eq!(site.get_with("/api/v1/status", (held.0, held.1)).await.status(), 401, "{held:?}");
    }
    site.say(&crate::harness::status("sink", 1)).await;
    let word = tokio::time::timeout(PATIENCE, kept.chunk()).await.expect("what holds goes on");
    assert!(word.unwrap().is_some());
    // Without its file the owner signs in no more, and nothing is open for it.
    std::fs::remove_file(sandbox.path("password")).unwrap();
    std::fs::remove_file(sandbox.path("people")).unwrap();
    assert_eq!(site.get("/").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_that_was_open_asks_for_the_password_once_there_is_one() {
    let sandbox = Sandbox::new();
    let site = Site::with(sandbox.access()).await;
    let mut stream = site.get("/events").await;
    assert_eq!(site.get("/").await.status(), 200);
    sandbox.owner(PASSWORD);
    assert_eq!(site.get("/").await.status(), StatusCode::SEE_OTHER);
    ends(&mut stream).await;
    let held = site.signed_in().await;
    assert_eq!(site.get_with("/", ("cookie", &held)).await.status(), 200);
}

#[tokio::test]
async fn who_only_reads_is_refused_changes_in_words_and_offered_none() {
    let sandbox = Sandbox::new();
    sandbox.owner(PASSWORD);
    sandbox.person("viewer", Role::Viewer, "only looks at horses");
    sandbox.person("anna", Role::Owner, "a horse of her own");
    let site = Site::with(sandbox.access()).await;
    let form = site.text("/login").await;
    assert!(form.contains("name=\"name\""), "{form}");
    let viewer = site.signed_in_as("viewer", "only looks at horses").await;
    let anna = site.signed_in_as("anna", "a horse of her own").await;

    let refused = site.watch(0, ("cookie", &viewer)).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains("You only read here"));
    for path in ["/watchlist", "/alerts/rules", "/status/replay"] {
        let refused =
            site.post_form(path, &[("do", "preview"), ("place", "listed")]).header("cookie", &viewer);
        let refused = refused.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        let page = refused.text().await.unwrap();
        assert!(page.contains("<h1>Not allowed</h1>") && page.contains("viewer, reads only"), "{page}");
    }
    let question = site.post_form("/api/v1/query", &[("sql", "SELECT 1")]).header("cookie", &viewer);
    assert_eq!(question.send().await.unwrap().status(), 200);

    assert_eq!(site.watch(0, ("cookie", &anna)).await.status(), 200);
    for (path, change) in [
        ("/watchlist", "name=\"do\""),
        ("/alerts", "action=\"/alerts/rules\""),
        ("/watchlist?edit=1", "id=\"entry-form\""),
    ] {
        let page = site.get_with(path, ("cookie", &viewer)).await.text().await.unwrap();
        assert!(page.contains("Sign out") && !page.contains(change), "{path}");
        let page = site.get_with(path, ("cookie", &anna)).await.text().await.unwrap();
        assert!(page.contains(change), "{path}");
    }
    let signed_out = site.post_form("/logout", &[]).header("cookie", &viewer).send().await.unwrap();
    assert_eq!(signed_out.status(), StatusCode::SEE_OTHER);
    assert_eq!(site.get_with("/api/v1/symbols", ("cookie", &viewer)).await.status(), 401);
}

#[tokio::test]
async fn a_history_says_who_made_each_change() {
    let sandbox = Sandbox::new();
    sandbox.owner(PASSWORD);
    sandbox.person("anna", Role::Owner, "a horse of her own");
    let command = web::command_token().unwrap();
    let proxy_names =
        ProxyNames { header: "x-forwarded-user".parse().unwrap(), owners: vec!["eve@x.example".into()] };
    let site = Site::with(Access {
        command_token: Some(command.clone()),
        trusted_proxies: Proxies::parse(["127.0.0.0/8"]).unwrap(),
        proxy_names: Some(proxy_names),
        ..sandbox.access()
    })
    .await;
    let (owner, anna) = (site.signed_in().await, site.signed_in_as("anna", "a horse of her own").await);
    let bearer = format!("Bearer {}", command.expose());
    let callers = [
        ("cookie", owner.as_str()),
        ("cookie", anna.as_str()),
        ("authorization", bearer.as_str()),
        ("x-forwarded-user", "eve@x.example"),
    ];
    for (version, caller) in (0..).zip(callers) {
        assert_eq!(site.watch(version, caller).await.status(), 200, "{caller:?}");
    }
    let past = control::watchlist::history(&*site.log, 9).await.unwrap();
    let by: Vec<_> = past.iter().rev().map(|past| past.by.as_str()).collect();
    assert_eq!(by, ["owner", "anna", "command", "eve@x.example"]);
}

#[tokio::test]
async fn a_name_is_believed_from_a_trusted_proxy_only() {
    let sandbox = Sandbox::new();
    let names = |trusted: &str| Access {
        trusted_proxies: Proxies::parse([trusted]).unwrap(),
        proxy_names: Some(ProxyNames {
            header: "x-forwarded-user".parse().unwrap(),
            owners: vec!["eve".into()],
        }),
        ..sandbox.access()
    };
    let site = Site::with(names("127.0.0.1")).await;
    assert_eq!(site.get("/").await.status(), StatusCode::SEE_OTHER, "nobody is named");
    let page = site.get_with("/watchlist", ("x-forwarded-user", "bob")).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("bob, reads only") && !page.contains("Sign out"), "{page}");
    assert_eq!(site.watch(0, ("x-forwarded-user", "bob")).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(site.watch(0, ("x-forwarded-user", "eve")).await.status(), 200);
    for odd in ["", "command", "owner", "eve,bob", "eve bob", "<b>"] {
        assert_eq!(site.watch(1, ("x-forwarded-user", odd)).await.status(), 401, "{odd}");
    }
    let twice = site.client.get(format!("{}/api/v1/status", site.url));
    let twice = twice.header("x-forwarded-user", "eve").header("x-forwarded-user", "bob");
    assert_eq!(twice.send().await.unwrap().status(), 401);

    let site = Site::with(names("10.0.0.0/8")).await;
    assert_eq!(site.get_with("/api/v1/status", ("x-forwarded-user", "eve")).await.status(), 401);
}

#[test]
fn a_public_address_takes_a_password_at_loopback_too() {
    let sandbox = Sandbox::new();
    let listen = "127.0.0.1:8080".parse().unwrap();
    let at = |url: &str| Access { public_url: Some(url.parse().unwrap()), ..sandbox.access() };
    for here in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"] {
        assert!(at(here).check(listen).is_ok(), "{here}");
    }
    for elsewhere in ["https://ticks.example", "http://192.0.2.1", "http://localhost.example"] {
        let refused = at(elsewhere).check(listen).unwrap_err();
        assert!(matches!(refused, WebError::Public { .. }), "{elsewhere}");
        assert!(refused.to_string().contains("tickwire web set-password"), "{refused}");
    }
    sandbox.person("anna", Role::Owner, "a horse of her own");
    assert!(at("https://ticks.example").check(listen).is_ok());
    assert!(at("https://ticks.example").check("0.0.0.0:80".parse().unwrap()).is_ok());
}
