//! The requests to InfluxDB (write, delete, query, buckets), and the meaning of their answers.

use std::time::Duration;

use net::{HttpFailure, Secret, redact, retry_after};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::answer::{Answer, Record};
use super::rows::{predicate, rfc3339};
use crate::StoreError;

/// The timeout of a query until its first byte.
const QUERY: Duration = Duration::from_secs(60);
/// The largest answer without rows in bytes: an acknowledgement, a refusal, or the description
/// of a bucket.
const LONGEST_ANSWER: usize = 1 << 20;
/// How many characters of a message of the server are repeated.
const WORDS: usize = 400;

/// The address and the credentials of a store on InfluxDB.
#[derive(Clone, Debug)]
pub struct InfluxAddress {
    /// The address of the server, as `http://localhost:8086`.
    pub url: Url,
    /// The name of the organization.
    pub org: String,
    /// The name of the bucket.
    pub bucket: String,
    /// A token that can read the bucket, and write it if needed.
    pub token: Secret,
}

pub(super) struct Server {
    address: InfluxAddress,
    http: reqwest::Client,
    /// For queries, which have a longer timeout.
    queries: reqwest::Client,
}

/// Why lines were refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request is too large.
    TooLarge(String),
    /// Some lines are invalid; others of the same request may have been written.
    BadLines {
        reason: String,
        /// Whether they are older than the retention of the bucket.
        past_retention: bool,
    },
    /// The cause is not in the lines.
    Failed(StoreError),
}

impl Server {
    pub(super) fn new(address: InfluxAddress) -> Result<Server, StoreError> {
        let unusable = |reason: String| StoreError::Refused { store: address.name(), status: 0, reason };
        let http = net::http().map_err(|failure| unusable(failure.to_string()))?;
        let queries = net::patient_http(QUERY).map_err(|failure| unusable(failure.to_string()))?;
        Ok(Server { address, http, queries })
    }

    /// The name of the store in errors.
    pub(super) fn name(&self) -> String {
        self.address.name()
    }

    pub(super) fn bucket(&self) -> &str {
        &self.address.bucket
    }

    /// Writes lines with times in ns.
    pub(super) async fn write(&self, lines: String) -> Result<(), Refusal> {
        let request = self.http.post(self.path("api/v2/write")).query(&[
            ("org", self.address.org.as_str()),
            ("bucket", self.bucket()),
            ("precision", "ns"),
        ]);
        let (status, answer, wait) = self.send(request.body(lines)).await.map_err(Refusal::Failed)?;
        if status.is_success() {
            return Ok(());
        }
        let reason = self.words(&answer);
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Err(Refusal::TooLarge(reason)),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                // "outside retention policy of …", and before version 2.7 "points beyond
                // retention policy".
                let past_retention = reason.contains("retention policy");
                Err(Refusal::BadLines { reason, past_retention })
            }
            _ => Err(Refusal::Failed(self.failure(status.as_u16(), reason, wait))),
        }
    }

    /// Deletes the points of one measurement with these tags and this time (ns).
    pub(super) async fn delete(
        &self,
        measurement: &str,
        tags: &[(&str, &str)],
        time: i64,
    ) -> Result<(), StoreError> {
        let at = rfc3339(time);
        let body = json!({"start": at, "stop": at, "predicate": predicate(measurement, tags)});
        let request = self
            .http
            .post(self.path("api/v2/delete"))
            .query(&[("org", self.address.org.as_str()), ("bucket", self.bucket())])
            .json(&body);
        let (status, answer, wait) = self.send(request).await?;
        if status.is_success() {
            return Ok(());
        }
        Err(self.failure(status.as_u16(), self.words(&answer), wait))
    }

    /// Passes each record of a query to `each` as it arrives, also before a failure.
    pub(super) async fn query(
        &self,
        flux: String,
        mut each: impl FnMut(&Record<'_>),
    ) -> Result<(), StoreError> {
        let annotations = json!(["datatype", "group", "default"]);
        let body = json!({"query": flux, "type": "flux", "dialect": {"header": true, "delimiter": ",", "annotations": annotations}});
        let request = self
            .queries
            .post(self.path("api/v2/query"))
            .query(&[("org", self.address.org.as_str())])
            .header(reqwest::header::ACCEPT, "application/csv")
            .json(&body);
        let mut answer = self.execute(request).await?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        if !status.is_success() {
            let words = net::text(answer, LONGEST_ANSWER).await.unwrap_or_default();
            return Err(self.failure(status.as_u16(), self.words(&words), wait));
        }
        let unreadable = |reason: String| self.unavailable(self.words(&reason), None);
        let mut read = Answer::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.cut_off(error))? {
            read.feed(&piece, &mut each).map_err(unreadable)?;
        }
        read.finish(&mut each).map_err(unreadable)
    }

    /// The retention of the bucket; `None` if it is unlimited or the token is not allowed to
    /// see it.
    pub(super) async fn retention(&self) -> Result<Option<Duration>, StoreError> {
        #[derive(Deserialize)]
        struct Buckets {
            #[serde(default)]
            buckets: Vec<Bucket>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Bucket {
            #[serde(default)]
            retention_rules: Vec<Rule>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Rule {
            every_seconds: u64,
        }
        let request = self.http.get(self.path("api/v2/buckets"));
        let request = request.query(&[("name", self.bucket()), ("org", self.address.org.as_str())]);
        let (status, answer, wait) = self.send(request).await?;
        // Missing rights are not transient.
        if matches!(status.as_u16(), 401 | 403 | 404) {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(self.failure(status.as_u16(), self.words(&answer), wait));
        }
        let buckets: Buckets = serde_json::from_str(&answer).map_err(|error| {
            self.unavailable(format!("its list of buckets cannot be parsed: {error}"), None)
        })?;
        let rule = buckets.buckets.first().and_then(|bucket| bucket.retention_rules.first());
        let seconds = rule.map_or(0, |rule| rule.every_seconds);
        Ok(Some(Duration::from_secs(seconds)).filter(|age| !age.is_zero()))
    }

    /// Checks that the server answers and accepts the token, with a request for the bucket that
    /// reads no points.
    pub(super) async fn health(&self) -> Result<(), StoreError> {
        let request = self.http.get(self.path("api/v2/buckets")).query(&[
            ("org", self.address.org.as_str()),
            ("name", self.bucket()),
            ("limit", "1"),
        ]);
        let (status, answer, wait) = self.send(request).await?;
        if status.is_success() {
            return Ok(());
        }
        Err(self.failure(status.as_u16(), self.words(&answer), wait))
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, String, Option<Duration>), StoreError> {
        let answer = self.execute(request).await?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        match net::text(answer, LONGEST_ANSWER).await {
            Ok(text) => Ok((status, text, wait)),
            // An acknowledged request stays acknowledged, even if the rest of the answer is
            // lost.
            Err(_) if status.is_success() => Ok((status, String::new(), wait)),
            Err(failure) => Err(self.unavailable(failure.to_string(), wait)),
        }
    }

    /// Sends a request and receives the head of the answer.
    async fn execute(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, StoreError> {
        let token = format!("Token {}", self.address.token.expose());
        let sent = request.header(reqwest::header::AUTHORIZATION, token).send().await;
        sent.map_err(|error| self.cut_off(error))
    }

    fn cut_off(&self, error: reqwest::Error) -> StoreError {
        self.unavailable(HttpFailure::from(error).to_string(), None)
    }

    /// The error for a status: overload and server errors are transient, others need the
    /// operator.
    fn failure(&self, status: u16, reason: String, wait: Option<Duration>) -> StoreError {
        if status >= 500 || matches!(status, 408 | 425 | 429) {
            self.unavailable(format!("it answers {status}: {reason}"), wait)
        } else {
            StoreError::Refused { store: self.name(), status, reason }
        }
    }

    fn unavailable(&self, reason: String, retry_after: Option<Duration>) -> StoreError {
        StoreError::Unavailable { store: self.name(), reason, retry_after }
    }

    fn path(&self, path: &str) -> Url {
        let mut url = self.address.url.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        url
    }

    /// The message of the server, shortened.
    fn words(&self, answer: &str) -> String {
        #[derive(Deserialize)]
        struct Answer {
            message: String,
        }
        let message = serde_json::from_str::<Answer>(answer).map(|answer| answer.message);
        let words: String =
            message.unwrap_or_else(|_| answer.trim().to_owned()).chars().take(WORDS).collect();
        redact(if words.is_empty() { "no reason given" } else { &words }, &[&self.address.token])
    }
}

impl InfluxAddress {
    fn name(&self) -> String {
        format!("InfluxDB at {}, bucket `{}` of `{}`", self.url, self.bucket, self.org)
    }
}
