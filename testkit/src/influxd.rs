//! A real InfluxDB 2 for tests: started if the variable `TEST_INFLUXD` names its binary, with a
//! folder of its own, and stopped with the process that started it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::ports;

/// The organization that is created.
pub const ORG: &str = "tickwire";

/// A script that starts its arguments, prints the process id, and kills the process when its
/// input ends, which also happens if the test is killed.
const KEEPER: &str = r#""$@" >"$LOG" 2>&1 & echo $!; read -r _; kill -9 $!"#;

/// A running server.
pub struct Influxd {
    /// The base URL.
    pub url: String,
    /// The administrator's token.
    pub token: String,
    org: String,
    binary: PathBuf,
    folder: TempDir,
    running: Mutex<Option<Running>>,
    buckets: AtomicU64,
}

struct Running {
    keeper: Child,
    process: u32,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Influxd {
    /// The server shared by all tests of this process.
    pub async fn shared() -> Option<&'static Influxd> {
        static SHARED: OnceCell<Option<Influxd>> = OnceCell::const_new();
        SHARED.get_or_init(Influxd::start).await.as_ref()
    }

    /// A server of its own, set up; `None`, with a message, if the binary is not available.
    ///
    /// # Panics
    /// When the binary does not start.
    pub async fn start() -> Option<Influxd> {
        let server = Influxd::start_bare().await?;
        let setup = json!({"username": "admin", "password": "only-for-tests", "org": ORG, "bucket": "first"});
        let made = server.post("api/v2/setup", &setup).await;
        let text = |value: &Value| value.as_str().expect("set-up answers with ids and a token").to_owned();
        Some(Influxd { token: text(&made["auth"]["token"]), org: text(&made["org"]["id"]), ..server })
    }

    /// A server that is not set up.
    ///
    /// # Panics
    /// When the binary does not start.
    pub async fn start_bare() -> Option<Influxd> {
        let Some(binary) = std::env::var_os("TEST_INFLUXD").filter(|path| !path.is_empty()) else {
            // Not `eprintln!`, which the test runner captures.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: no InfluxDB here; TEST_INFLUXD=$(.ci/influxd) brings one"
            );
            return None;
        };
        let url = format!("http://127.0.0.1:{}", ports::free());
        let server = Influxd {
            url,
            token: String::new(),
            org: String::new(),
            binary: binary.into(),
            folder: tempfile::tempdir().expect("a folder"),
            running: Mutex::default(),
            buckets: AtomicU64::default(),
        };
        server.run().await;
        Some(server)
    }

    /// Starts the server again with its data.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn run(&self) {
        let folder = self.folder.path();
        let at = |name: &str| folder.join(name).display().to_string();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&self.binary)
            .args([
                "--bolt-path",
                &at("bolt"),
                "--sqlite-path",
                &at("sqlite"),
                "--engine-path",
                &at("engine"),
            ])
            .args(["--http-bind-address", self.url.trim_start_matches("http://"), "--reporting-disabled"])
            .env("LOG", at("log"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("influxd starts");
        let mut line = String::new();
        let output = keeper.stdout.take().expect("the keeper says the process");
        BufReader::new(output).read_line(&mut line).expect("the keeper says the process");
        let process = line.trim().parse().expect("a process");
        *self.running.lock().expect("no test panicked while holding it") = Some(Running { keeper, process });
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&self) {
        let http = reqwest_client();
        for _ in 0..600 {
            let ready = http.get(format!("{}/health", self.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("influxd does not answer; its last words: {}", log.lines().last().unwrap_or("none"));
    }

    /// Kills it with SIGKILL, as a power failure would.
    ///
    /// # Panics
    /// When another test panicked while holding it.
    pub fn kill(&self) {
        *self.running.lock().expect("no test panicked while holding it") = None;
    }

    /// Stops the process (SIGSTOP) with its connections open, until [`Influxd::thaw`].
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Continues the process.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// The process id.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn process(&self) -> u32 {
        self.running.lock().expect("no test panicked while holding it").as_ref().expect("it runs").process
    }

    fn signal(&self, signal: &str) {
        let process = self.process().to_string();
        Command::new("kill").args([signal, &process]).status().expect("kill runs");
    }

    /// Creates a bucket with this retention, unlimited by default; returns its name.
    pub async fn bucket(&self, retention: Option<Duration>) -> String {
        let name = format!("bucket_{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        self.make_bucket(&name, retention).await;
        name
    }

    /// Creates a bucket with this name and retention, unlimited by default.
    ///
    /// # Panics
    /// When the server rejects it.
    pub async fn make_bucket(&self, name: &str, retention: Option<Duration>) {
        let rules: Vec<_> =
            retention.iter().map(|age| json!({"type": "expire", "everySeconds": age.as_secs()})).collect();
        self.post("api/v2/buckets", &json!({"orgID": self.org, "name": name, "retentionRules": rules})).await;
    }

    /// Writes lines as another client would.
    ///
    /// # Panics
    /// When the server rejects them.
    pub async fn write(&self, bucket: &str, lines: &str) {
        let path = format!("{}/api/v2/write?org={ORG}&bucket={bucket}", self.url);
        let request = reqwest_client().post(path).header("authorization", format!("Token {}", self.token));
        let answer = request.body(lines.to_owned()).send().await.expect("influxd answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// The result of a Flux query, as CSV.
    ///
    /// # Panics
    /// When the server rejects it.
    pub async fn query(&self, flux: &str) -> String {
        let request = reqwest_client()
            .post(format!("{}/api/v2/query?org={ORG}", self.url))
            .header("authorization", format!("Token {}", self.token))
            .header("content-type", "application/vnd.flux")
            .header("accept", "application/csv");
        let answer = request.body(flux.to_owned()).send().await.expect("influxd answers");
        let status = answer.status();
        let text = answer.text().await.expect("influxd answers in full");
        assert!(status.is_success(), "{status}: {text}");
        text
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = reqwest_client().post(format!("{}/{path}", self.url)).json(body);
        let request = request.header("authorization", format!("Token {}", self.token));
        let answer = request.send().await.expect("influxd answers");
        let status = answer.status();
        let text = answer.text().await.expect("influxd answers in full");
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).expect("influxd answers in JSON")
    }
}

fn reqwest_client() -> reqwest::Client {
    net::http().expect("an HTTP client")
}
