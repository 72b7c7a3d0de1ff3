//! The server: its three requests (write, delete, query), and what its answers mean.

use std::time::Duration;

use fallible_iterator::FallibleIterator;
use influxdb2::RequestError;
use influxdb2_structmap::value::Value as Cell;
use outbound::{HttpFailure, Secret, redact, retry_after};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{flux, lines};
use crate::StoreError;

/// How long a query may take.
const QUERY: Duration = Duration::from_secs(60);
/// So much of a server's words is repeated.
const WORDS: usize = 400;

/// Where a store on InfluxDB is, and how it is entered.
#[derive(Clone, Debug)]
pub struct InfluxAddress {
    /// The server, as `http://localhost:8086`.
    pub url: Url,
    /// The organization.
    pub org: String,
    /// The bucket.
    pub bucket: String,
    /// A token that may read the bucket, and write it where that is wanted.
    pub token: Secret,
}

pub(super) struct Server {
    address: InfluxAddress,
    http: reqwest::Client,
    queries: influxdb2::Client,
}

/// Why lines were not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Too many at once.
    TooLarge(String),
    /// Some of them cannot be stored; others of the same request may have been.
    BadLines {
        reason: String,
        /// They are older than the bucket keeps.
        past_retention: bool,
    },
    /// Not the lines' fault.
    Failed(StoreError),
}

/// One value of one field of one point, with its tags, in no particular order.
pub(super) struct Record {
    values: std::collections::BTreeMap<String, Cell>,
}

impl Server {
    pub(super) fn new(address: InfluxAddress) -> Result<Server, StoreError> {
        let unusable = |reason: String| StoreError::Refused { store: address.name(), status: 0, reason };
        let http = outbound::http().map_err(|failure| unusable(failure.to_string()))?;
        let builder = influxdb2::ClientBuilder::with_builder(
            outbound::patient_builder(QUERY),
            address.url.as_str(),
            address.org.as_str(),
            address.token.expose(),
        );
        let queries = builder.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Server { address, http, queries })
    }

    /// How the store is called in errors.
    pub(super) fn name(&self) -> String {
        self.address.name()
    }

    pub(super) fn bucket(&self) -> &str {
        &self.address.bucket
    }

    /// Writes lines; nanoseconds.
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
                // "outside retention policy of …", and before 2.7 "points beyond retention policy".
                let past_retention = reason.contains("retention policy");
                Err(Refusal::BadLines { reason, past_retention })
            }
            _ => Err(Refusal::Failed(self.failure(status.as_u16(), reason, wait))),
        }
    }

    /// Deletes the points of one measurement and tags at one time.
    pub(super) async fn delete(
        &self,
        measurement: &str,
        tags: &[(&str, &str)],
        time: i64,
    ) -> Result<(), StoreError> {
        let at = flux::rfc3339(time);
        let body = json!({"start": at, "stop": at, "predicate": flux::predicate(measurement, tags)});
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

    /// The records that a query yields.
    pub(super) async fn query(&self, flux: String) -> Result<Vec<Record>, StoreError> {
        let asked = self.queries.query_raw_iter(Some(influxdb2::models::Query::new(flux)));
        let answer = tokio::time::timeout(QUERY, asked)
            .await
            .map_err(|_| self.unavailable(format!("a query took longer than {} s", QUERY.as_secs()), None))?
            .map_err(|error| self.query_failure(error))?;
        let records = answer.result().map(|record| Ok(Record { values: record.values }));
        records.collect().map_err(|error| self.query_failure(error))
    }

    /// How long the bucket keeps points, if the token may know; `None` is for ever.
    pub(super) async fn retention(&self) -> Option<Duration> {
        let asked = influxdb2::api::buckets::ListBucketsRequest {
            name: Some(self.bucket().to_owned()),
            org: Some(self.address.org.clone()),
            ..Default::default()
        };
        let buckets = tokio::time::timeout(QUERY, self.queries.list_buckets(Some(asked))).await.ok()?.ok()?;
        let rule = buckets.buckets.first()?.retention_rules.first()?;
        u64::try_from(rule.every_seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// Whether it answers and knows the token, by a question about the bucket that
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
        let token = format!("Token {}", self.address.token.expose());
        let sent = request.header(reqwest::header::AUTHORIZATION, token).send().await;
        let answer = sent.map_err(|error| self.unavailable(HttpFailure::from(error).to_string(), None))?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        match answer.text().await {
            Ok(text) => Ok((status, text, wait)),
            // What was acknowledged is so, whatever became of the rest of the answer.
            Err(_) if status.is_success() => Ok((status, String::new(), wait)),
            Err(error) => Err(self.unavailable(HttpFailure::from(error).to_string(), wait)),
        }
    }

    fn query_failure(&self, error: RequestError) -> StoreError {
        match error {
            RequestError::Http { status, text } => self.failure(status.as_u16(), self.words(&text), None),
            RequestError::ReqwestProcessing { source } => {
                self.unavailable(HttpFailure::from(source).to_string(), None)
            }
            other => self.unavailable(redact(&other.to_string(), &[&self.address.token]), None),
        }
    }

    /// Overload and trouble of the server pass; any other refusal needs somebody to do something.
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

    /// The server's own words.
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

impl Record {
    pub(super) fn text(&self, column: &str) -> &str {
        match self.values.get(column) {
            Some(Cell::String(text)) => text,
            _ => "",
        }
    }

    /// The point's time, in nanoseconds.
    pub(super) fn time(&self) -> Option<i64> {
        match self.values.get("_time") {
            Some(Cell::TimeRFC(time)) => time.timestamp_nanos_opt(),
            _ => None,
        }
    }

    /// The field's value.
    pub(super) fn value(&self) -> wire::schema::Value {
        use wire::schema::Value;
        match self.values.get("_value") {
            Some(Cell::Double(value)) => Value::Float(value.into_inner()),
            Some(Cell::Long(value)) => Value::Int(*value),
            Some(Cell::Bool(value)) => Value::Bool(*value),
            // Answers come with the line breaks of CSV.
            Some(Cell::String(text)) => Value::Text(lines::text_of_field(text.replace("\r\n", "\n"))),
            _ => Value::Null,
        }
    }
}
