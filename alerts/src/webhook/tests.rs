//! Tests of the webhook against a server with scripted responses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use control::shutdown::{self, Shutdown, ShutdownHandle};
use log::{EmbeddedLog, SharedLog};
use model::alert::Comparison;
use model::service::Service;
use model::status::ServiceStatus;
use model::topic::DEAD_LETTERS;
use model::{Alert, DeadLetter};
use net::Secret;
use serde_json::Value as Json;
use tokio::task::JoinHandle;

use super::{Webhook, WebhookError, run, sign};

const PATIENCE: Duration = Duration::from_secs(30);

/// A status with headers.
type Answer = (u16, Vec<(&'static str, String)>);

/// A server that sends the scripted responses, then 204, and records the requests.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Server {
    async fn start(&self) -> String {
        let router = Router::new().route("/hook", post(Server::take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/hook?token=hidden-token")
    }

    async fn take(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
        server.seen.lock().unwrap().push((headers, body));
        let (status, given) = server.answers.lock().unwrap().pop_front().unwrap_or((204, Vec::new()));
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(name, value.parse().unwrap());
        }
        (StatusCode::from_u16(status).unwrap(), headers)
    }

    fn answer(&self, status: u16, headers: Vec<(&'static str, String)>) {
        self.answers.lock().unwrap().push_back((status, headers));
    }

    /// The deliveries of all requests in order, retries included.
    fn deliveries(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let body = |body: &Bytes| serde_json::from_slice::<Json>(body).unwrap();
        seen.iter().map(|(_, bytes)| body(bytes)["delivery"].as_str().unwrap().to_owned()).collect()
    }
}

struct Sandbox {
    log: SharedLog,
    server: Server,
    webhook: Webhook,
    _folder: tempfile::TempDir,
}

impl Sandbox {
    async fn new() -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        let log: SharedLog = Arc::new(EmbeddedLog::open(&folder.path().join("log.db"), 1).unwrap());
        let server = Server::default();
        let url = server.start().await.parse().unwrap();
        let first_pause = Duration::from_millis(1);
        let webhook = Webhook { first_pause, ..Webhook::new(url, Secret::new("whsec-1"), "simulated") };
        Sandbox { log, server, webhook, _folder: folder }
    }

    async fn alert(&self, symbol: &str) {
        let alert = Alert {
            symbol: symbol.into(),
            rule: "jump".into(),
            episode: Alert::episode_of("jump", symbol, 60_000),
            opened: 60_000,
            closed: None,
            signal: "jump_share".into(),
            comparison: Comparison::Above,
            value: 0.6,
            extreme: 0.6,
            threshold: 0.5,
            explanation: "It jumps.".into(),
        };
        self.log.append(vec![alert.to_append()]).await.unwrap();
    }

    fn start(&self) -> (ShutdownHandle, JoinHandle<Result<(), WebhookError>>) {
        let (stopper, stop) = shutdown::channel();
        (stopper, tokio::spawn(run(self.log.clone(), self.webhook.clone(), stop)))
    }

    /// Runs the webhook until it has drained the topic.
    async fn drain(&self) {
        let (stopper, running) = self.start();
        stopper.ask(Shutdown::Drain);
        tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    }

    /// Waits until the server has received this many requests.
    async fn seen(&self, requests: usize) {
        let enough = async {
            while self.server.seen.lock().unwrap().len() < requests {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("the server did not receive enough requests");
    }

    async fn status(&self) -> ServiceStatus {
        control::status::last(&*self.log, Service::Webhook).await.unwrap().unwrap()
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        let records = self.log.read(&DEAD_LETTERS, 0, 0, 100).await.unwrap();
        records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
    }
}

#[tokio::test]
async fn an_alert_is_posted_with_a_signature_over_time_and_body() {
    let sandbox = Sandbox::new().await;
    sandbox.drain().await;
    sandbox.alert("AAPL").await;
    sandbox.drain().await;
    let seen = sandbox.server.seen.lock().unwrap();
    let [(headers, body)] = &seen[..] else { panic!("{seen:?}") };
    let json: Json = serde_json::from_slice(body).unwrap();
    assert_eq!((json["event"].as_str(), json["source"].as_str()), (Some("opened"), Some("simulated")));
    assert_eq!(json["alert"]["explanation"], "It jumps.");
    assert_eq!(headers["tickwire-delivery"], json["delivery"].as_str().unwrap());
    let seconds: i64 = headers["tickwire-timestamp"].to_str().unwrap().parse().unwrap();
    assert!((model::time::now() / 1_000 - seconds).abs() < 60);
    assert_eq!(headers["tickwire-signature"], sign(&Secret::new("whsec-1"), seconds, body));
}

#[tokio::test]
async fn what_was_told_before_there_was_a_webhook_is_not_told_again() {
    let sandbox = Sandbox::new().await;
    sandbox.alert("OLD").await;
    sandbox.drain().await;
    sandbox.alert("NEW").await;
    sandbox.drain().await;
    sandbox.drain().await;
    assert_eq!(sandbox.server.deliveries(), ["jump/NEW/60000/opened"]);
}

#[tokio::test]
async fn a_server_that_fails_is_called_again_in_order_until_it_takes() {
    let sandbox = Sandbox::new().await;
    sandbox.drain().await;
    sandbox.server.answer(503, vec![("retry-after", "0".into())]);
    sandbox.server.answer(429, Vec::new());
    sandbox.server.answer(404, Vec::new());
    sandbox.alert("A").await;
    sandbox.alert("B").await;
    let (stopper, running) = sandbox.start();
    sandbox.seen(5).await;
    stopper.ask(Shutdown::Drain);
    running.await.unwrap().unwrap();
    let [a, b] = ["jump/A/60000/opened", "jump/B/60000/opened"];
    assert_eq!(sandbox.server.deliveries(), [a, a, a, a, b]);
    let status = sandbox.status().await;
    assert_eq!((status.counts["delivered"], status.counts["failed_tries"]), (2, 3));
}

#[tokio::test]
async fn what_was_not_taken_before_the_end_is_posted_after_the_next_start() {
    let sandbox = Sandbox::new().await;
    sandbox.drain().await;
    sandbox.server.answer(204, Vec::new());
    sandbox.server.answer(500, Vec::new());
    sandbox.alert("A").await;
    sandbox.alert("B").await;
    sandbox.drain().await;
    assert_eq!(sandbox.server.deliveries().len(), 2);
    sandbox.drain().await;
    let b = "jump/B/60000/opened";
    assert_eq!(sandbox.server.deliveries()[1..], [b, b]);
    assert!(sandbox.letters().await.is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed_and_the_address_is_not_shown() {
    let sandbox = Sandbox::new().await;
    sandbox.drain().await;
    let other = Server::default();
    sandbox.server.answer(307, vec![("location", other.start().await)]);
    sandbox.alert("A").await;
    let (stopper, running) = sandbox.start();
    sandbox.seen(2).await;
    stopper.ask(Shutdown::Drain);
    running.await.unwrap().unwrap();
    assert!(other.deliveries().is_empty());
    let shown = format!("{:?} {:?}", sandbox.webhook, sandbox.status().await);
    assert!(!shown.contains("whsec") && !shown.contains("hidden-token"), "{shown}");
}

#[tokio::test]
async fn an_alert_that_the_server_finds_fault_with_is_given_up_and_the_next_one_goes_on() {
    let sandbox = Sandbox::new().await;
    sandbox.drain().await;
    sandbox.server.answer(422, Vec::new());
    sandbox.alert("A").await;
    sandbox.alert("B").await;
    sandbox.drain().await;
    assert_eq!(sandbox.server.deliveries().len(), 2);
    let letters = sandbox.letters().await;
    assert_eq!((letters.len(), letters[0].source.as_str()), (1, "alerts-webhook"));
    assert!(letters[0].reason.contains("422") && letters[0].event.contains("jump/A/60000"), "{letters:?}");
}

#[tokio::test]
async fn an_alert_that_is_too_old_is_given_up_at_the_next_failure() {
    let sandbox = Sandbox::new().await;
    let sandbox =
        Sandbox { webhook: Webhook { give_up_after: Duration::ZERO, ..sandbox.webhook.clone() }, ..sandbox };
    sandbox.drain().await;
    sandbox.server.answer(503, Vec::new());
    sandbox.alert("A").await;
    sandbox.alert("B").await;
    sandbox.drain().await;
    assert_eq!(sandbox.status().await.counts["given_up"], 1);
    let reason = &sandbox.letters().await[0].reason;
    assert!(reason.contains("not acknowledged in time") && reason.contains("503"), "{reason}");
    assert!(!reason.contains("hidden-token"));
}
