//! Alerts told to somebody else's server: each word about an episode is posted,
//! signed, until it has been acknowledged.
//!
//! The position behind an alert is committed once it was taken, so a restart
//! goes on where it stopped. A server that does not answer holds up nothing but
//! its own deliveries; what it has not taken after a day is given up, loudly.

#[cfg(test)]
mod tests;

use std::time::Duration;

use control::shutdown::{Shutdown, ShutdownToken};
use control::status::Report;
use hmac::{Hmac, KeyInit, Mac};
use log::{LogError, Position, Reader, Record, SharedLog};
use model::service::{Activity, RunState, Service};
use model::status::ServiceStatus;
use model::time::{self, SECOND};
use model::topic::ALERTS;
use model::{Alert, DeadLetter};
use net::{HttpFailure, RetryPolicy, Secret, retry_after};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use sha2::Sha256;
use url::Url;

/// The name under which positions are committed, and of the status.
const SERVICE: &str = Service::Webhook.name();
/// How many alerts are read at once.
const POLL: usize = 64;
/// How long to wait for alerts before looking at the wish to stop.
const WAIT: Duration = Duration::from_millis(250);
/// The longest pause between two tries, unless the server asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Where alerts are posted, and how.
#[derive(Clone)]
pub struct Webhook {
    /// The address; what stands in it beside the host may be a key, and is never shown.
    pub url: Url,
    /// What requests are signed with.
    pub secret: Secret,
    /// What the alerts are of, for the receiver: `live`, `simulated`, `replayed`.
    pub source: String,
    /// How old an alert may become before it is given up.
    pub give_up_after: Duration,
    /// The first pause after a failure.
    pub first_pause: Duration,
}

impl Webhook {
    /// One that tries for a day.
    pub fn new(url: Url, secret: Secret, source: impl Into<String>) -> Webhook {
        let (give_up_after, first_pause) = (Duration::from_secs(86_400), Duration::from_secs(1));
        Webhook { url, secret, source: source.into(), give_up_after, first_pause }
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook at {}", self.url.host_str().unwrap_or_default())
    }
}

/// Why the service cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// No client for requests.
    #[error("the webhook cannot be called from here: {0}")]
    Client(#[from] HttpFailure),
}

/// Posts alerts until `stop` asks for an end; when asked to drain, until all are
/// taken or one is not.
///
/// # Errors
/// When the log fails, or no client can be made; never because of the server.
pub async fn run(log: SharedLog, webhook: Webhook, stop: ShutdownToken) -> Result<(), WebhookError> {
    let mut caller = Caller::start(log, webhook).await?;
    loop {
        if stop.stopped() {
            return caller.say_last(RunState::Stopped).await;
        }
        let wait = if stop.draining() { Duration::ZERO } else { WAIT };
        let records = tokio::select! {
            records = caller.reader.poll(POLL, wait) => records?,
            () = stop.at_least(Shutdown::Stop) => continue,
        };
        if records.is_empty() && stop.draining() {
            return caller.say_last(RunState::Finished).await;
        }
        for record in records {
            let ended = caller.see_through(&record, &stop).await?;
            if !ended {
                return caller.say_last(RunState::Stopped).await;
            }
        }
        caller.say(RunState::Running).await?;
    }
}

struct Caller {
    log: SharedLog,
    reader: Box<dyn Reader>,
    webhook: Webhook,
    client: Client,
    report: Report,
}

impl Caller {
    async fn start(log: SharedLog, webhook: Webhook) -> Result<Caller, WebhookError> {
        let mut reader = log.reader(SERVICE, &[ALERTS]).await?;
        if reader.resumed_from().is_empty() {
            // What was told before there was a webhook is not told again.
            reader.commit(ends(&log).await?).await?;
            reader = log.reader(SERVICE, &[ALERTS]).await?;
        }
        // The first of them is a rise only where there was a count before.
        let counts = ["delivered", "failed_tries", "given_up"].map(|name| (name.to_owned(), 0)).into();
        let status = ServiceStatus { service: SERVICE.into(), counts, ..ServiceStatus::default() };
        let client = Client::new(&webhook)?;
        Ok(Caller { log, reader, webhook, client, report: Report::new(status) })
    }

    /// Tries until an alert is taken or given up; says whether either came to pass.
    async fn see_through(&mut self, record: &Record, stop: &ShutdownToken) -> Result<bool, WebhookError> {
        let mut waits = RetryPolicy::new(self.webhook.first_pause, LONGEST_PAUSE).waits();
        let alert = match serde_json::from_slice::<Alert>(&record.value) {
            Ok(alert) => alert,
            Err(why) => {
                log::passed_over(record, &why);
                self.passed(record).await?;
                return Ok(true);
            }
        };
        loop {
            let answer = tokio::select! {
                answer = self.client.post(&alert) => answer,
                () = stop.at_least(Shutdown::Stop) => return Ok(false),
            };
            let (reason, pause) = match answer {
                Answer::Taken => {
                    self.count("delivered");
                    self.passed(record).await?;
                    return Ok(true);
                }
                Answer::Refused(reason) => {
                    self.give_up(record, &reason).await?;
                    return Ok(true);
                }
                Answer::Failed { reason, pause } => (reason, pause),
            };
            self.count("failed_tries");
            let age = time::now().saturating_sub(record.appended_at);
            if u128::try_from(age).unwrap_or_default() >= self.webhook.give_up_after.as_millis() {
                self.give_up(record, &format!("not taken in time: {reason}")).await?;
                return Ok(true);
            }
            if stop.draining() {
                tracing::warn!(host = self.client.host(), %reason, "The webhook is called again after the next start.");
                return Ok(false);
            }
            if waits.failures() == 0 {
                tracing::warn!(host = self.client.host(), %reason, "The webhook did not take an alert, and is called again.");
            }
            self.say(Activity::new(
                RunState::Waiting,
                format!("waiting for the webhook at {}: {reason}", self.client.host()),
            ))
            .await?;
            tokio::select! {
                () = tokio::time::sleep(waits.endless().max(pause)) => {}
                () = stop.at_least(Shutdown::Drain) => {}
            }
        }
    }

    async fn give_up(&mut self, record: &Record, reason: &str) -> Result<(), WebhookError> {
        tracing::error!(
            host = self.client.host(),
            reason,
            "The webhook did not take an alert, which is given up: `tickwire dead-letters list --source alerts-webhook` shows it."
        );
        self.count("given_up");
        let letter = DeadLetter::new(SERVICE, reason, &record.value, time::now());
        self.log.append(vec![letter.to_append()]).await?;
        self.passed(record).await
    }

    /// Nothing is left to do for a record.
    async fn passed(&mut self, record: &Record) -> Result<(), WebhookError> {
        let Record { topic, partition, offset, .. } = record;
        let position =
            Position { topic: topic.clone(), partition: *partition, offset: offset + 1, note: String::new() };
        Ok(self.reader.commit(vec![position]).await?)
    }

    fn count(&mut self, name: &str) {
        *self.report.status.counts.entry(name.to_owned()).or_default() += 1;
    }

    async fn say(&mut self, state: impl Into<Activity>) -> Result<(), WebhookError> {
        self.report.status.state = state.into();
        if self.report.is_due() {
            self.log.append(vec![self.report.say()]).await?;
        }
        Ok(())
    }

    async fn say_last(&mut self, state: impl Into<Activity>) -> Result<(), WebhookError> {
        self.report.status.state = state.into();
        Ok(self.log.append(vec![self.report.say()]).await?)
    }
}

/// The end of every partition.
async fn ends(log: &SharedLog) -> Result<Vec<Position>, LogError> {
    let extents = log.extents(&ALERTS).await?;
    let end = |partition| {
        let held = extents.iter().find(|extent| extent.partition == partition);
        let offset = held.map_or(0, |extent| extent.next);
        Position { topic: ALERTS, partition, offset, note: String::new() }
    };
    Ok((0..log.partitions()).map(end).collect())
}

// One request: what is posted, and what the answer means.

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What came of a request.
pub(crate) enum Answer {
    /// Acknowledged with a 2xx.
    Taken,
    /// This alert will never be taken.
    Refused(String),
    /// Not now.
    Failed {
        reason: String,
        /// How long the server asks to be left alone.
        pause: Duration,
    },
}

/// What is posted.
#[derive(Serialize)]
struct Body<'a> {
    /// `opened` or `closed`.
    event: &'static str,
    /// The same for every try, and for every time that this is said.
    delivery: &'a str,
    /// `live`, `simulated` or `replayed`.
    source: &'a str,
    alert: &'a Alert,
}

/// Posts to one address.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    secret: Secret,
    source: String,
}

impl Client {
    pub(crate) fn new(webhook: &Webhook) -> Result<Client, HttpFailure> {
        let Webhook { url, secret, source, .. } = webhook.clone();
        Ok(Client { http: net::http_without_redirects()?, url, secret, source })
    }

    /// All of the address that is shown.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(crate) async fn post(&self, alert: &Alert) -> Answer {
        let event = if alert.closed.is_some() { "closed" } else { "opened" };
        let delivery = format!("{}/{event}", alert.episode);
        let body = Body { event, delivery: &delivery, source: &self.source, alert };
        let body = match serde_json::to_vec(&body) {
            Ok(body) => body,
            Err(error) => return Answer::Refused(format!("it cannot be written as JSON: {error}")),
        };
        let seconds = time::now() / SECOND;
        let request = self
            .http
            .post(self.url.clone())
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .header("tickwire-delivery", &delivery)
            .header("tickwire-timestamp", seconds)
            .header("tickwire-signature", sign(&self.secret, seconds, &body));
        match request.body(body).send().await {
            Ok(answer) => judge(answer.status(), retry_after(answer.headers()).unwrap_or_default()),
            Err(error) => {
                Answer::Failed { reason: HttpFailure::from(error).to_string(), pause: Duration::ZERO }
            }
        }
    }
}

/// A server that finds fault with the alert itself will do so again; whatever
/// else is wrong may be mended while we try.
fn judge(status: StatusCode, pause: Duration) -> Answer {
    match status {
        status if status.is_success() => Answer::Taken,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Answer::Refused(format!("the webhook answered {status}"))
        }
        status if status.is_redirection() => Answer::Failed {
            reason: format!(
                "it answered {status}, and redirects are not followed: set alerts.webhook_url to where it leads"
            ),
            pause,
        },
        status => Answer::Failed { reason: format!("it answered {status}"), pause },
    }
}

// What a receiver checks: that a request is ours, whole, and new.

/// The signature of a body sent at `seconds` since the epoch: `v1=` and, in
/// hexadecimal, HMAC-SHA256 (RFC 2104) over `SECONDS.BODY` with the secret.
pub(crate) fn sign(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    // An HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let code = mac.finalize().into_bytes();
    code.iter().fold("v1=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod signature_tests {
    use super::*;

    /// `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec-1`
    #[test]
    fn the_signature_is_what_openssl_computes() {
        assert_eq!(
            sign(&Secret::new("whsec-1"), 1_700_000_000, br#"{"a":1}"#),
            "v1=64d1a1c4ef3fa677754396c88fe7bdb6cbbf0962ac835ebc532be882802daac9"
        );
    }
}
