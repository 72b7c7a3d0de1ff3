//! What a server must have before points can be stored: buckets, and tokens that
//! may do no more than they must. Asked for twice, nothing changes.

mod error;
mod first;
mod tokens;

use std::time::Duration;

use influxdb2::RequestError;
use influxdb2::api::buckets::ListBucketsRequest;
use influxdb2::api::organization::ListOrganizationRequest;
use influxdb2::models::retention_rule::{RetentionRule, Type};
use influxdb2::models::{Bucket, PostBucketRequest};
use net::{HttpFailure, Secret};
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use url::Url;

pub use error::SetupError;
use error::{Asked, words_of};
pub use first::FirstUser;
pub use tokens::{BucketToken, Rights};

/// An organization on a server, entered with a token that may make buckets and
/// tokens there.
pub struct InfluxAdmin {
    asked: Asked,
    org: String,
    token: Secret,
    queries: influxdb2::Client,
    http: reqwest::Client,
}

impl InfluxAdmin {
    /// Enters the organization `org`.
    ///
    /// # Errors
    /// When the server is not reached, the token is refused, or there is no such organization.
    pub async fn enter(url: &Url, org: &str, token: Secret) -> Result<InfluxAdmin, SetupError> {
        let asked = Asked { url: url.clone(), secrets: vec![token.clone()] };
        let queries = asked.queries(org)?;
        let request = ListOrganizationRequest { org: Some(org.to_owned()), ..Default::default() };
        let found = match queries.list_organizations(request).await {
            Err(error) if is_missing(&error) => None,
            found => found.map_err(|error| asked.failure(error))?.orgs.into_iter().next(),
        };
        let found = found.and_then(|found| found.id);
        let no_org = || SetupError::NoOrg { url: url.clone(), org: org.to_owned() };
        let http = net::http().map_err(|error| asked.unreachable(&error.to_string()))?;
        Ok(InfluxAdmin { org: found.ok_or_else(no_org)?, asked, token, queries, http })
    }

    /// The bucket of that name, made if need be, which keeps points for so long,
    /// or for ever; returns its id.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn bucket(&self, name: &str, retention: Option<Duration>) -> Result<String, SetupError> {
        let seconds = seconds_of(retention)?;
        if let Some(bucket) = self.find_bucket(name).await? {
            let id = bucket.id.unwrap_or_default();
            let kept = bucket.retention_rules.first().map_or(0, |rule| rule.every_seconds);
            if kept != seconds {
                let rules = json!({"retentionRules": [{"type": "expire", "everySeconds": seconds}]});
                self.send(Method::PATCH, &format!("api/v2/buckets/{id}"), Some(&rules)).await?;
            }
            return Ok(id);
        }
        let request = PostBucketRequest {
            retention_rules: vec![RetentionRule::new(Type::Expire, seconds)],
            ..PostBucketRequest::new(self.org.clone(), name.to_owned())
        };
        self.queries.create_bucket(Some(request)).await.map_err(|error| self.asked.failure(error))?;
        let made = self.find_bucket(name).await?.and_then(|made| made.id);
        made.ok_or_else(|| self.asked.refused(404, &format!("the new bucket `{name}` is not there")))
    }

    async fn find_bucket(&self, name: &str) -> Result<Option<Bucket>, SetupError> {
        let request = ListBucketsRequest {
            name: Some(name.to_owned()),
            org_id: Some(self.org.clone()),
            ..Default::default()
        };
        match self.queries.list_buckets(Some(request)).await {
            Err(error) if is_missing(&error) => Ok(None),
            found => Ok(found.map_err(|error| self.asked.failure(error))?.buckets.into_iter().next()),
        }
    }

    /// A request that the crate does not have.
    async fn send(&self, method: Method, path: &str, body: Option<&Json>) -> Result<(), SetupError> {
        let mut request = self.http.request(method, self.asked.at(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        let token = format!("Token {}", self.token.expose());
        let sent = request.header(reqwest::header::AUTHORIZATION, token).send().await;
        let answer = sent.map_err(|error| self.asked.unreachable(&HttpFailure::from(error).to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => {
                let words = words_of(&answer.text().await.unwrap_or_default());
                Err(self.asked.refused(status.as_u16(), &words))
            }
        }
    }
}

fn is_missing(error: &RequestError) -> bool {
    matches!(error, RequestError::Http { status, .. } if status.as_u16() == StatusCode::NOT_FOUND)
}

/// A retention as the server takes it; 0 is for ever.
fn seconds_of(retention: Option<Duration>) -> Result<i32, SetupError> {
    let seconds = retention.map_or(0, |retention| retention.as_secs());
    i32::try_from(seconds).map_err(|_| SetupError::Retention { days: seconds / 86_400 })
}
