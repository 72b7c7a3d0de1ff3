//! A browser window, as the WebDriver protocol lets one be driven.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, wait_for};

/// A browser with one window; closed when dropped.
pub struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    _profile: tempfile::TempDir,
}

/// What a window looks like.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

/// A wide window, by day and by night, and a phone's.
pub const LIGHT: Look = Look { width: 1400, height: 1000, dark: false };
pub const DARK: Look = Look { dark: true, ..LIGHT };
pub const PHONE: Look = Look { width: 500, height: 950, dark: false };

impl Browser {
    /// Opens a window; `None`, with a word about it, where there is no browser.
    pub fn open(look: Look) -> Option<Browser> {
        Browser::open_with(look, &json!({}))
    }

    /// Opens a window in which no page may run a script.
    pub fn open_without_scripts(look: Look) -> Option<Browser> {
        Browser::open_with(look, &json!({"profile.managed_default_content_settings.javascript": 2}))
    }

    fn open_with(look: Look, preferences: &Value) -> Option<Browser> {
        let started =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = started else {
            // Not `eprintln!`, which the test runner keeps to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: a test in the browser, chromedriver is not here");
            return None;
        };
        let port = BufReader::new(driver.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("chromedriver says its port");
        let profile = tempfile::tempdir().unwrap();
        let mut arguments = vec![
            format!("--window-size={},{}", look.width, look.height),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        arguments.extend(QUIET.map(str::to_owned));
        if look.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let mut browser = Browser {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            client: net::http().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            _profile: profile,
        };
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments, "prefs": preferences}}}});
        let made = browser.post("", &wanted);
        browser.session = format!("{}/{}", browser.session, made["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    pub fn go(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Runs a function body in the page.
    pub fn script(&self, body: &str) -> Value {
        self.post("/execute/sync", &json!({"script": body, "args": []}))
    }

    /// Runs a function body whose last argument is called with the result.
    pub fn script_later(&self, body: &str) -> Value {
        self.post("/execute/async", &json!({"script": body, "args": []}))
    }

    /// Waits until an expression is true in the page.
    pub fn until(&self, what: &str, expression: &str) {
        let body = format!("try {{ return !!({expression}); }} catch (error) {{ return false; }}");
        let until = Instant::now() + PATIENCE;
        while self.script(&body) != Value::Bool(true) {
            let seen = || self.script("return document.body.innerText");
            assert!(Instant::now() < until, "waited in vain for {what}; the page shows {}", seen());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types into the one field that a selector finds, in place of what it holds.
    pub fn write(&self, selector: &str, text: &str) {
        self.act(selector, |field| self.posted(&format!("/element/{field}/clear"), &json!({})));
        self.act(selector, |field| self.posted(&format!("/element/{field}/value"), &json!({"text": text})));
    }

    /// Clicks on what a selector finds.
    pub fn click(&self, selector: &str) {
        self.act(selector, |element| self.posted(&format!("/element/{element}/click"), &json!({})));
    }

    /// The text that is seen of what a selector finds.
    pub fn text(&self, selector: &str) -> String {
        let text =
            self.act(selector, |element| self.client.get(format!("{}/element/{element}/text", self.session)));
        text.as_str().unwrap().to_owned()
    }

    /// Waits until what a selector finds says so; works without scripts too.
    pub fn says(&self, selector: &str, part: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let text = self.text(selector);
            if text.contains(part) {
                return;
            }
            assert!(Instant::now() < until, "{selector} says `{text}`, and not `{part}`");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Does something to what a selector finds; once more when a new page has
    /// come in between.
    fn act(&self, selector: &str, act: impl Fn(&str) -> reqwest::RequestBuilder) -> Value {
        wait_for(selector, || match self.ask(act(&self.element(selector))) {
            Ok(answer) => Some(answer),
            Err(error) if error["error"] == "stale element reference" => None,
            Err(error) => panic!("{selector}: {error}"),
        })
    }

    /// Waits for the first element that a selector finds; works without scripts too.
    fn element(&self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        wait_for(selector, || {
            let found = self.post("/elements", &wanted);
            let first = found.as_array()?.first()?.as_object()?;
            Some(first.values().next()?.as_str()?.to_owned())
        })
    }

    /// Presses a key, wherever the focus is.
    pub fn press(&self, key: char) {
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    /// Writes a picture of the window, small enough for a repository.
    pub fn picture(&self, file: &Path) {
        let wanted = json!({"cmd": "Page.captureScreenshot", "params": {"format": "webp", "quality": 65}});
        let taken = self.post("/goog/cdp/execute", &wanted);
        let bytes = base64(taken["data"].as_str().expect("a picture as text"));
        std::fs::write(file, bytes).unwrap();
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(self.posted(path, body)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn posted(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.session)).json(body)
    }

    /// The value of the answer, or the error.
    fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, Value> {
        let answer: Value =
            self.runtime.block_on(async { request.send().await.unwrap().json().await.unwrap() });
        let value = &answer["value"];
        if value["error"].is_null() { Ok(value.clone()) } else { Err(value.clone()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let closing = self.client.delete(&self.session);
        let _ = self.runtime.block_on(async { closing.send().await });
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

const QUIET: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}
