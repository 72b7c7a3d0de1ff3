//! One request: what is posted, and what the answer means.

use std::time::Duration;

use model::Alert;
use model::time::{self, SECOND};
use net::{HttpFailure, Secret, retry_after};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use url::Url;

use super::Webhook;
use super::signature::sign;

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
