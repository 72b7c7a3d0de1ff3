//! Posts alerts to a webhook: every opening and closing of an episode is sent as a signed
//! request, repeatedly until it is acknowledged.
//!
//! The offset of an alert is committed when it has been acknowledged, so a restart continues
//! with the first that was not. A failing server delays only its own deliveries. An alert not
//! acknowledged within a day becomes a dead letter and is logged as an error.
//!
//! In this file: the service, the request and the interpretation of its response, and the
//! signature.

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

/// The name of the consumer and of the status.
const SERVICE: &str = Service::Webhook.name();
/// How many alerts are read at once.
const POLL: usize = 64;
/// How long to wait for alerts before checking for a shutdown.
const WAIT: Duration = Duration::from_millis(250);
/// The longest pause between two attempts, unless the server asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The settings of the webhook.
#[derive(Clone)]
pub struct Webhook {
    /// The address. Its path and query may contain a key and are never shown.
    pub url: Url,
    /// The key of the signatures.
    pub secret: Secret,
    /// The kind of the run, for the receiver: `live`, `simulated` or `replayed`.
    pub source: String,
    /// The age since the alert's append (wall clock) after which it becomes a dead letter.
    pub give_up_after: Duration,
    /// The pause after the first failed attempt; later pauses grow.
    pub first_pause: Duration,
}

impl Webhook {
    /// A webhook that retries each alert for a day.
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

/// Why the service failed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The HTTP client could not be created.
    #[error("the HTTP client for the webhook cannot be created: {0}")]
    Client(#[from] HttpFailure),
}

/// Posts alerts until `stop` requests a shutdown; when draining, until all are acknowledged or
/// one attempt fails.
///
/// # Errors
/// When the log fails or the HTTP client cannot be created; never because of the server.
pub async fn run(log: SharedLog, webhook: Webhook, stop: ShutdownToken) -> Result<(), WebhookError> {
    let mut service = Delivery::start(log, webhook).await?;
    loop {
        if stop.stopped() {
            return service.report_final_status(RunState::Stopped).await;
        }
        let wait = if stop.draining() { Duration::ZERO } else { WAIT };
        let records = tokio::select! {
            records = service.reader.poll(POLL, wait) => records?,
            () = stop.at_least(Shutdown::Stop) => continue,
        };
        if records.is_empty() && stop.draining() {
            return service.report_final_status(RunState::Finished).await;
        }
        for record in records {
            let ended = service.deliver(&record, &stop).await?;
            if !ended {
                return service.report_final_status(RunState::Stopped).await;
            }
        }
        service.report_status(RunState::Running).await?;
    }
}

struct Delivery {
    log: SharedLog,
    reader: Box<dyn Reader>,
    webhook: Webhook,
    client: Client,
    report: Report,
}

impl Delivery {
    async fn start(log: SharedLog, webhook: Webhook) -> Result<Delivery, WebhookError> {
        let mut reader = log.reader(SERVICE, &[ALERTS]).await?;
        if reader.resumed_from().is_empty() {
            // On the first start with a webhook, earlier alerts are skipped.
            reader.commit(end_offsets(&log).await?).await?;
            reader = log.reader(SERVICE, &[ALERTS]).await?;
        }
        // Counters start at 0 so that their first increase is visible in Prometheus.
        let counts = ["delivered", "failed_tries", "given_up"].map(|name| (name.to_owned(), 0)).into();
        let status = ServiceStatus { service: SERVICE.into(), counts, ..ServiceStatus::default() };
        let client = Client::new(&webhook)?;
        Ok(Delivery { log, reader, webhook, client, report: Report::new(status) })
    }

    /// Retries until an alert is acknowledged or given up; `false` if a shutdown came first.
    async fn deliver(&mut self, record: &Record, stop: &ShutdownToken) -> Result<bool, WebhookError> {
        let mut retry_delays = RetryPolicy::new(self.webhook.first_pause, LONGEST_PAUSE).waits();
        let alert = match serde_json::from_slice::<Alert>(&record.value) {
            Ok(alert) => alert,
            Err(why) => {
                log::warn_skipped(record, &why);
                self.commit(record).await?;
                return Ok(true);
            }
        };
        loop {
            let answer = tokio::select! {
                answer = self.client.post(&alert) => answer,
                () = stop.at_least(Shutdown::Stop) => return Ok(false),
            };
            let (reason, pause) = match answer {
                Outcome::Acknowledged => {
                    self.count("delivered");
                    self.commit(record).await?;
                    return Ok(true);
                }
                Outcome::Rejected(reason) => {
                    self.give_up(record, &reason).await?;
                    return Ok(true);
                }
                Outcome::Failed { reason, pause } => (reason, pause),
            };
            self.count("failed_tries");
            let age = time::now().saturating_sub(record.appended_at);
            if u128::try_from(age).unwrap_or_default() >= self.webhook.give_up_after.as_millis() {
                self.give_up(record, &format!("not acknowledged in time: {reason}")).await?;
                return Ok(true);
            }
            if stop.draining() {
                tracing::warn!(host = self.client.host(), %reason, "The webhook did not acknowledge an alert; it is retried after the next start.");
                return Ok(false);
            }
            if retry_delays.failures() == 0 {
                tracing::warn!(host = self.client.host(), %reason, "The webhook did not acknowledge an alert; it is retried.");
            }
            self.report_status(Activity::new(
                RunState::Waiting,
                format!("waiting for the webhook at {}: {reason}", self.client.host()),
            ))
            .await?;
            tokio::select! {
                () = tokio::time::sleep(retry_delays.endless().max(pause)) => {}
                () = stop.at_least(Shutdown::Drain) => {}
            }
        }
    }

    async fn give_up(&mut self, record: &Record, reason: &str) -> Result<(), WebhookError> {
        tracing::error!(
            host = self.client.host(),
            reason,
            "The webhook did not acknowledge an alert, which is now a dead letter: `tickwire dead-letters list --source alerts-webhook` shows it."
        );
        self.count("given_up");
        let letter = DeadLetter::new(SERVICE, reason, &record.value, time::now());
        self.log.append(vec![letter.to_append()]).await?;
        self.commit(record).await
    }

    /// Commits the offset behind a record.
    async fn commit(&mut self, record: &Record) -> Result<(), WebhookError> {
        let Record { topic, partition, offset, .. } = record;
        let position =
            Position { topic: topic.clone(), partition: *partition, offset: offset + 1, note: String::new() };
        Ok(self.reader.commit(vec![position]).await?)
    }

    fn count(&mut self, name: &str) {
        *self.report.status.counts.entry(name.to_owned()).or_default() += 1;
    }

    async fn report_status(&mut self, state: impl Into<Activity>) -> Result<(), WebhookError> {
        self.report.status.state = state.into();
        if self.report.is_due() {
            self.log.append(vec![self.report.say()]).await?;
        }
        Ok(())
    }

    async fn report_final_status(&mut self, state: impl Into<Activity>) -> Result<(), WebhookError> {
        self.report.status.state = state.into();
        Ok(self.log.append(vec![self.report.say()]).await?)
    }
}

/// The end offsets of all partitions.
async fn end_offsets(log: &SharedLog) -> Result<Vec<Position>, LogError> {
    let extents = log.extents(&ALERTS).await?;
    let end = |partition| {
        let held = extents.iter().find(|extent| extent.partition == partition);
        let offset = held.map_or(0, |extent| extent.next);
        Position { topic: ALERTS, partition, offset, note: String::new() }
    };
    Ok((0..log.partitions()).map(end).collect())
}

// One request and the meaning of its response.

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The result of a request.
pub(crate) enum Outcome {
    /// Acknowledged with a 2xx status.
    Acknowledged,
    /// Rejected for good; a retry would not help.
    Rejected(String),
    /// Failed for now.
    Failed {
        reason: String,
        /// The pause that the server asked for, by `Retry-After`.
        pause: Duration,
    },
}

/// The body of a request.
#[derive(Serialize)]
struct Body<'a> {
    /// `opened` or `closed`.
    event: &'static str,
    /// The same for every attempt, so that the receiver can detect duplicates.
    delivery: &'a str,
    /// `live`, `simulated` or `replayed`.
    source: &'a str,
    alert: &'a Alert,
}

/// Posts alerts to one address.
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

    /// The host: the only part of the address that is shown.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(crate) async fn post(&self, alert: &Alert) -> Outcome {
        let event = if alert.closed.is_some() { "closed" } else { "opened" };
        let delivery = format!("{}/{event}", alert.episode);
        let body = Body { event, delivery: &delivery, source: &self.source, alert };
        let body = match serde_json::to_vec(&body) {
            Ok(body) => body,
            Err(error) => return Outcome::Rejected(format!("it cannot be written as JSON: {error}")),
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
            Ok(answer) => outcome_of(answer.status(), retry_after(answer.headers()).unwrap_or_default()),
            Err(error) => {
                Outcome::Failed { reason: HttpFailure::from(error).to_string(), pause: Duration::ZERO }
            }
        }
    }
}

/// A 400, 413 or 422 is about the alert itself and would be repeated; all other failures may be
/// temporary.
fn outcome_of(status: StatusCode, pause: Duration) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Acknowledged,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Outcome::Rejected(format!("the webhook answered {status}"))
        }
        status if status.is_redirection() => Outcome::Failed {
            reason: format!(
                "it answered {status}, and redirects are not followed: set alerts.webhook_url to where it leads"
            ),
            pause,
        },
        status => Outcome::Failed { reason: format!("it answered {status}"), pause },
    }
}

// The signature, by which a receiver verifies that a request is authentic and recent.

/// The signature of a body sent at `seconds` since 1970: `v1=` and the hexadecimal HMAC-SHA256
/// (RFC 2104) of `SECONDS.BODY` with the secret.
pub(crate) fn sign(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    // Cannot fail: an HMAC accepts a key of any length.
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

    /// Expected value: `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec-1`
    #[test]
    fn the_signature_is_what_openssl_computes() {
        assert_eq!(
            sign(&Secret::new("whsec-1"), 1_700_000_000, br#"{"a":1}"#),
            "v1=64d1a1c4ef3fa677754396c88fe7bdb6cbbf0962ac835ebc532be882802daac9"
        );
    }
}
