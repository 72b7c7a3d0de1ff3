//! Sets up a server: its first user, buckets, and tokens with the least rights. Every step is
//! idempotent.

use std::collections::BTreeSet;
use std::time::Duration;

use influxdb2::RequestError;
use influxdb2::api::authorizations::{CreateAuthorizationRequest, ListAuthorizationsRequest};
use influxdb2::api::buckets::ListBucketsRequest;
use influxdb2::api::organization::ListOrganizationRequest;
use influxdb2::models::authorization::{Authorization, Status};
use influxdb2::models::permission::{Action, Permission};
use influxdb2::models::resource::{Resource, Type as ResourceType};
use influxdb2::models::retention_rule::{RetentionRule, Type};
use influxdb2::models::{Bucket, PostBucketRequest};
use net::{HttpFailure, Secret, redact};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use url::Url;

/// An organization on a server, with a token that can create buckets and tokens in it.
pub struct InfluxAdmin {
    endpoint: Endpoint,
    org: String,
    token: Secret,
    queries: influxdb2::Client,
    http: reqwest::Client,
}

impl InfluxAdmin {
    /// Looks up the organization `org`.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses the token, or has no such organization.
    pub async fn enter(url: &Url, org: &str, token: Secret) -> Result<InfluxAdmin, SetupError> {
        let endpoint = Endpoint { url: url.clone(), secrets: vec![token.clone()] };
        let queries = endpoint.queries(org)?;
        let request = ListOrganizationRequest { org: Some(org.to_owned()), ..Default::default() };
        let found = match queries.list_organizations(request).await {
            Err(error) if is_missing(&error) => None,
            found => found.map_err(|error| endpoint.failure(error))?.orgs.into_iter().next(),
        };
        let found = found.and_then(|found| found.id);
        let no_org = || SetupError::NoOrg { url: url.clone(), org: org.to_owned() };
        let http = net::http().map_err(|error| endpoint.unreachable(&error.to_string()))?;
        Ok(InfluxAdmin { org: found.ok_or_else(no_org)?, endpoint, token, queries, http })
    }

    /// Creates the bucket `name` if it is missing, and sets its retention (`None` for no
    /// limit); returns its id.
    ///
    /// # Errors
    /// If the server refuses it.
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
        self.queries.create_bucket(Some(request)).await.map_err(|error| self.endpoint.failure(error))?;
        let made = self.find_bucket(name).await?.and_then(|made| made.id);
        made.ok_or_else(|| self.endpoint.refused(404, &format!("the new bucket `{name}` is not there")))
    }

    async fn find_bucket(&self, name: &str) -> Result<Option<Bucket>, SetupError> {
        let request = ListBucketsRequest {
            name: Some(name.to_owned()),
            org_id: Some(self.org.clone()),
            ..Default::default()
        };
        match self.queries.list_buckets(Some(request)).await {
            Err(error) if is_missing(&error) => Ok(None),
            found => Ok(found.map_err(|error| self.endpoint.failure(error))?.buckets.into_iter().next()),
        }
    }

    /// Sends a request that the crate `influxdb2` does not support.
    async fn send(&self, method: Method, path: &str, body: Option<&Json>) -> Result<(), SetupError> {
        let mut request = self.http.request(method, self.endpoint.at(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        let token = format!("Token {}", self.token.expose());
        let sent = request.header(reqwest::header::AUTHORIZATION, token).send().await;
        let answer =
            sent.map_err(|error| self.endpoint.unreachable(&HttpFailure::from(error).to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => {
                let words = words_in(answer).await;
                Err(self.endpoint.refused(status.as_u16(), &words))
            }
        }
    }
}

fn is_missing(error: &RequestError) -> bool {
    matches!(error, RequestError::Http { status, .. } if status.as_u16() == StatusCode::NOT_FOUND)
}

/// The retention in seconds, as the server expects it; 0 means no limit.
fn seconds_of(retention: Option<Duration>) -> Result<i32, SetupError> {
    let seconds = retention.map_or(0, |retention| retention.as_secs());
    i32::try_from(seconds).map_err(|_| SetupError::Retention { days: seconds / 86_400 })
}

// The errors of a set-up, each with a remedy and without secrets.

/// The timeout of a request that sets up a bucket or a token.
const ANSWER: Duration = Duration::from_secs(60);
/// The largest answer in bytes: a token or a user, with its rights.
const LONGEST_ANSWER: usize = 1 << 20;
/// How many characters of a message of the server are repeated.
const WORDS: usize = 400;

/// An error of a set-up. What was created before the error stays, and the next attempt finds
/// it.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The server does not answer.
    #[error(
        "InfluxDB at {url} is not available: {reason}. Check that it runs and influxdb.url, then run this again"
    )]
    Unavailable {
        /// The address of the server.
        url: Url,
        /// The error.
        reason: String,
    },
    /// The server refuses the token or the password.
    #[error("InfluxDB at {url} refuses the {what}: {reason}")]
    Denied {
        /// The address of the server.
        url: Url,
        /// `token` or `password`.
        what: &'static str,
        /// The message of the server.
        reason: String,
    },
    /// The server refuses the request for another reason.
    #[error("InfluxDB at {url} answers {status}: {reason}. Check influxdb.url, and that it is an InfluxDB 2")]
    Refused {
        /// The address of the server.
        url: Url,
        /// The HTTP status.
        status: u16,
        /// The message of the server.
        reason: String,
    },
    /// The organization does not exist.
    #[error(
        "InfluxDB at {url} has no organization `{org}`, or the token may not see it: name one with influxdb.org, or make it with `influx org create`"
    )]
    NoOrg {
        /// The address of the server.
        url: Url,
        /// The name of the organization.
        org: String,
    },
    /// The retention is longer than InfluxDB supports.
    #[error(
        "influxdb.retention is {days} days, more than the 24,855 that InfluxDB supports: leave it out to keep points for ever"
    )]
    Retention {
        /// The requested retention in days.
        days: u64,
    },
}

/// The server of the requests, and the secrets to be removed from its messages.
#[derive(Debug)]
struct Endpoint {
    url: Url,
    secrets: Vec<Secret>,
}

impl Endpoint {
    /// The client of the crate `influxdb2`, with the first secret as its token.
    fn queries(&self, org: &str) -> Result<influxdb2::Client, SetupError> {
        let token = self.secrets.first().map(Secret::expose).unwrap_or_default();
        let builder = influxdb2::ClientBuilder::with_builder(
            net::patient_builder(ANSWER),
            self.url.as_str(),
            org,
            token,
        );
        builder.build().map_err(|error| self.unreachable(&error.to_string()))
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        url
    }

    fn failure(&self, error: RequestError) -> SetupError {
        match error {
            RequestError::Http { status, text } => self.refused(status.as_u16(), &words_of(&text)),
            RequestError::ReqwestProcessing { source } => {
                self.unreachable(&HttpFailure::from(source).to_string())
            }
            other => self.unreachable(&other.to_string()),
        }
    }

    fn refused(&self, status: u16, reason: &str) -> SetupError {
        let (url, reason) = (self.url.clone(), self.without_secrets(reason));
        match status {
            401 | 403 => SetupError::Denied { url, what: "token", reason },
            408 | 425 | 429 | 500.. => {
                SetupError::Unavailable { url, reason: format!("it answers {status}: {reason}") }
            }
            _ => SetupError::Refused { url, status, reason },
        }
    }

    fn unreachable(&self, reason: &str) -> SetupError {
        SetupError::Unavailable { url: self.url.clone(), reason: self.without_secrets(reason) }
    }

    fn without_secrets(&self, text: &str) -> String {
        redact(text, &self.secrets.iter().collect::<Vec<_>>())
    }
}

/// The message in an answer ([`words_of`]); empty text for an answer that is cut off or too
/// long.
async fn words_in(answer: reqwest::Response) -> String {
    words_of(&net::text(answer, LONGEST_ANSWER).await.unwrap_or_default())
}

/// The message of the server, shortened.
fn words_of(answer: &str) -> String {
    #[derive(Deserialize)]
    struct Answer {
        message: String,
    }
    let message = serde_json::from_str::<Answer>(answer).map(|answer| answer.message);
    let words: String = message.unwrap_or_else(|_| answer.trim().to_owned()).chars().take(WORDS).collect();
    if words.is_empty() { "no reason given".to_owned() } else { words }
}

// The first user of a server. The set-up returns a token with all rights; a user who has lost
// that token gets one with fewer rights for the password.

/// The first user of a server, with one organization.
#[derive(Clone, Debug)]
pub struct FirstUser {
    /// The address of the server.
    pub url: Url,
    /// The name of the organization.
    pub org: String,
    /// The name of the user.
    pub name: String,
    /// The password of the user.
    pub password: Secret,
}

impl FirstUser {
    /// Whether the server has not been set up yet.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn may_set_up(url: &Url) -> Result<bool, SetupError> {
        let endpoint = Endpoint { url: url.clone(), secrets: Vec::new() };
        endpoint.queries("")?.is_onboarding_allowed().await.map_err(|error| endpoint.failure(error))
    }

    /// Sets up the server with a first bucket; returns the token with all rights.
    ///
    /// # Errors
    /// If the server refuses, for example because it has been set up before.
    pub async fn set_up(&self, bucket: &str, retention: Option<Duration>) -> Result<Secret, SetupError> {
        let endpoint = Endpoint { url: self.url.clone(), secrets: Vec::new() };
        let password = Some(self.password.expose().to_owned());
        let retention = Some(seconds_of(retention)?);
        let queries = endpoint.queries(&self.org)?;
        let made = queries.onboarding(&self.name, &self.org, bucket, password, None, retention).await;
        // A message of the server may repeat the password.
        let endpoint = Endpoint { secrets: vec![self.password.clone()], ..endpoint };
        let token = made.map_err(|error| endpoint.failure(error))?.auth.and_then(|auth| auth.token);
        let token = token.ok_or_else(|| endpoint.unreachable("it answered without a token"))?;
        Ok(Secret::new(token))
    }

    /// Signs in with the password and returns a new token for [`InfluxAdmin`].
    ///
    /// # Errors
    /// If the password is refused, or the organization does not exist.
    pub async fn sign_in(&self) -> Result<Secret, SetupError> {
        let endpoint = Endpoint { url: self.url.clone(), secrets: vec![self.password.clone()] };
        let http = net::http().map_err(|error| endpoint.unreachable(&error.to_string()))?;
        let login = http.post(endpoint.at("api/v2/signin"));
        let login = login.basic_auth(&self.name, Some(self.password.expose()));
        let answer = login.send().await;
        let answer = answer.map_err(|error| endpoint.unreachable(&HttpFailure::from(error).to_string()))?;
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            return Err(match endpoint.refused(status, &words_in(answer).await) {
                SetupError::Denied { url, reason, .. } => {
                    SetupError::Denied { url, what: "password", reason }
                }
                other => other,
            });
        }
        let cookie = answer.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_owned();
        let as_user = |request: RequestBuilder| exchange(&endpoint, request.header(COOKIE, &cookie));
        let user = as_user(http.get(endpoint.at("api/v2/me"))).await?;
        let orgs = http.get(endpoint.at("api/v2/orgs")).query(&[("org", self.org.as_str())]);
        let orgs = as_user(orgs).await?;
        let Some(org) = orgs["orgs"][0]["id"].as_str() else {
            return Err(SetupError::NoOrg { url: self.url.clone(), org: self.org.clone() });
        };
        let authorization = authorization(org, user["id"].as_str().unwrap_or_default());
        let made = as_user(http.post(endpoint.at("api/v2/authorizations")).json(&authorization)).await?;
        match made["token"].as_str() {
            Some(token) => Ok(Secret::new(token)),
            None => Err(endpoint.unreachable("it answered without a token")),
        }
    }
}

/// The rights to create buckets and tokens.
fn authorization(org: &str, user: &str) -> Json {
    let resources = [
        json!({"type": "authorizations", "orgID": org}),
        json!({"type": "buckets", "orgID": org}),
        json!({"type": "orgs", "id": org}),
        json!({"type": "users", "id": user}),
    ];
    let rights =
        |resource: &Json| ["read", "write"].map(|action| json!({"action": action, "resource": resource}));
    let permissions: Vec<_> = resources.iter().flat_map(rights).collect();
    json!({"orgID": org, "description": "tickwire init", "permissions": permissions})
}

async fn exchange(endpoint: &Endpoint, request: RequestBuilder) -> Result<Json, SetupError> {
    let failed = |error: reqwest::Error| endpoint.unreachable(&HttpFailure::from(error).to_string());
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let text = net::text(answer, LONGEST_ANSWER).await;
    let text = text.map_err(|failure| endpoint.unreachable(&failure.to_string()))?;
    if !status.is_success() {
        return Err(endpoint.refused(status.as_u16(), &words_of(&text)));
    }
    serde_json::from_str(&text)
        .map_err(|error| endpoint.unreachable(&format!("its answer cannot be parsed: {error}")))
}

// Tokens, each for one bucket.

/// The rights of a token on its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Read.
    Read,
    /// Read and write.
    ReadAndWrite,
}

impl Rights {
    fn actions(self) -> &'static [Action] {
        match self {
            Rights::Read => &[Action::Read],
            Rights::ReadAndWrite => &[Action::Read, Action::Write],
        }
    }
}

/// A token with its id. Since version 2.9 servers store hashes and do not list the text of
/// tokens, so that only the id identifies a token.
#[derive(Clone, Debug)]
pub struct BucketToken {
    /// The text of the token.
    pub token: Secret,
    /// The id of the token.
    pub id: String,
}

/// The length from which on a listed text is taken for that of a token: tokens have 88
/// characters, and placeholders are shorter.
const SHORTEST: usize = 40;

impl InfluxAdmin {
    /// The id of the token `held`, if its name is `name` and it has exactly these rights on the
    /// bucket with this id. If the server does not list the texts of tokens, the id `noted` at
    /// its creation decides; without a noted id there must be only one such token.
    ///
    /// # Errors
    /// If the server refuses the request.
    pub async fn id_of_token(
        &self,
        name: &str,
        bucket: &str,
        rights: Rights,
        held: &Secret,
        noted: Option<&str>,
    ) -> Result<Option<String>, SetupError> {
        let wanted: BTreeSet<_> = rights
            .actions()
            .iter()
            .map(|action| (*action, ResourceType::Buckets, Some(bucket.to_owned())))
            .collect();
        let fits = |known: &Authorization| {
            let has: BTreeSet<_> = known.permissions.iter().map(of_permission).collect();
            has == wanted && known.status != Some(Status::Inactive)
        };
        let all = self.tokens(name).await?;
        if let Some(known) = all.iter().find(|known| known.token.as_deref() == Some(held.expose())) {
            return Ok(known.id.clone().filter(|_| fits(known)));
        }
        let is_hidden =
            |known: &Authorization| known.token.as_ref().is_none_or(|token| token.len() < SHORTEST);
        let hidden: Vec<&str> = all
            .iter()
            .filter(|known| is_hidden(known) && fits(known))
            .filter_map(|known| known.id.as_deref())
            .collect();
        let id = match (noted.filter(|noted| hidden.contains(noted)), hidden.as_slice()) {
            (Some(noted), _) => noted,
            (None, [only]) => only,
            _ => return Ok(None),
        };
        Ok(self.sees_bucket(bucket, held).await?.then(|| id.to_owned()))
    }

    /// Whether the server accepts a token and lets it see a bucket.
    async fn sees_bucket(&self, bucket: &str, token: &Secret) -> Result<bool, SetupError> {
        let request = self.http.get(self.endpoint.at(&format!("api/v2/buckets/{bucket}")));
        let token = format!("Token {}", token.expose());
        let sent = request.header(reqwest::header::AUTHORIZATION, token).send().await;
        let answer =
            sent.map_err(|error| self.endpoint.unreachable(&HttpFailure::from(error).to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(false),
            status => {
                let words = words_in(answer).await;
                Err(self.endpoint.refused(status.as_u16(), &words))
            }
        }
    }

    /// Creates a token with this name and these rights on the bucket with this id.
    ///
    /// # Errors
    /// If the server refuses it.
    pub async fn new_token(
        &self,
        name: &str,
        bucket: &str,
        rights: Rights,
    ) -> Result<BucketToken, SetupError> {
        let bucket = Resource {
            id: Some(bucket.to_owned()),
            org_id: Some(self.org.clone()),
            ..Resource::new(ResourceType::Buckets)
        };
        let permission = |action: &Action| Permission::new(*action, bucket.clone());
        let request = CreateAuthorizationRequest {
            description: Some(name.to_owned()),
            org_id: self.org.clone(),
            permissions: rights.actions().iter().map(permission).collect(),
            ..Default::default()
        };
        let made = self.queries.create_authorization(request).await;
        let made = made.map_err(|error| self.endpoint.failure(error))?;
        match (made.token, made.id) {
            (Some(token), Some(id)) => Ok(BucketToken { token: Secret::new(token), id }),
            _ => Err(self.endpoint.unreachable("it answered without a token or its id")),
        }
    }

    /// Deletes all tokens with this name except the one with the id `kept`; returns their
    /// number.
    ///
    /// # Errors
    /// If the server refuses to delete one.
    pub async fn remove_tokens_but(&self, name: &str, kept: &str) -> Result<usize, SetupError> {
        let others = self.tokens(name).await?.into_iter().filter_map(|known| known.id);
        let mut removed = 0;
        for id in others.filter(|id| id != kept) {
            self.send(Method::DELETE, &format!("api/v2/authorizations/{id}"), None).await?;
            removed += 1;
        }
        Ok(removed)
    }

    async fn tokens(&self, name: &str) -> Result<Vec<Authorization>, SetupError> {
        let request = ListAuthorizationsRequest { org_id: Some(self.org.clone()), ..Default::default() };
        let all = self.queries.list_authorizations(request).await;
        let all = all.map_err(|error| self.endpoint.failure(error))?.authorizations;
        Ok(all.into_iter().filter(|known| known.description.as_deref() == Some(name)).collect())
    }
}

fn of_permission(permission: &Permission) -> (Action, ResourceType, Option<String>) {
    (permission.action, permission.resource.r#type, permission.resource.id.clone())
}
