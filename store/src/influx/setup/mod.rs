//! What a server must have before points can be stored: buckets, and tokens that
//! may do no more than they must. Asked for twice, nothing changes.

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
                let words = words_in(answer).await;
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

// What can go wrong with a set-up, said with what to do about it and without secrets.

/// How long a server may be silent while it sets up a bucket or a token.
const ANSWER: Duration = Duration::from_secs(60);
/// The longest answer: a token or a user, with their rights.
const LONGEST_ANSWER: usize = 1 << 20;
/// So much of a server's words is repeated.
const WORDS: usize = 400;

/// What can go wrong with a set-up. Whatever was done until then stays, and is
/// found by the next attempt.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No answer.
    #[error(
        "InfluxDB at {url} is not available: {reason}. Check that it runs and influxdb.url, then run this again"
    )]
    Unavailable {
        /// The server.
        url: Url,
        /// What happened.
        reason: String,
    },
    /// The token or password does not hold.
    #[error("InfluxDB at {url} refuses the {what} that it was shown: {reason}")]
    Denied {
        /// The server.
        url: Url,
        /// Token or password.
        what: &'static str,
        /// Its words.
        reason: String,
    },
    /// Anything else that the server will not do.
    #[error("InfluxDB at {url} answers {status}: {reason}. Check influxdb.url, and that it is an InfluxDB 2")]
    Refused {
        /// The server.
        url: Url,
        /// The status.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// An organization that is not there.
    #[error(
        "InfluxDB at {url} has no organization `{org}`, or the token may not see it: name one with influxdb.org, or make it with `influx org create`"
    )]
    NoOrg {
        /// The server.
        url: Url,
        /// The organization.
        org: String,
    },
    /// Longer than a bucket can keep points.
    #[error(
        "influxdb.retention is {days} days, more than the 24,855 that InfluxDB can count: leave it out to keep points for ever"
    )]
    Retention {
        /// What was asked for.
        days: u64,
    },
}

/// Whom requests go to, and what must not show when they fail.
#[derive(Debug)]
struct Asked {
    url: Url,
    secrets: Vec<Secret>,
}

impl Asked {
    /// The crate's client, with the first secret as its token.
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

/// [`words_of`] an answer; one that breaks off or is too long gives none.
async fn words_in(answer: reqwest::Response) -> String {
    words_of(&net::text(answer, LONGEST_ANSWER).await.unwrap_or_default())
}

/// The server's own words.
fn words_of(answer: &str) -> String {
    #[derive(Deserialize)]
    struct Answer {
        message: String,
    }
    let message = serde_json::from_str::<Answer>(answer).map(|answer| answer.message);
    let words: String = message.unwrap_or_else(|_| answer.trim().to_owned()).chars().take(WORDS).collect();
    if words.is_empty() { "no reason given".to_owned() } else { words }
}

// The first user of a server: who sets it up gets a token that may do anything;
// who has lost that gets a lesser one for the password.

/// The first user of a server, who belongs to one organization.
#[derive(Clone, Debug)]
pub struct FirstUser {
    /// The server.
    pub url: Url,
    /// The organization.
    pub org: String,
    /// The user's name.
    pub name: String,
    /// The user's password.
    pub password: Secret,
}

impl FirstUser {
    /// Whether nobody has set the server up yet.
    ///
    /// # Errors
    /// When it is not reached.
    pub async fn may_set_up(url: &Url) -> Result<bool, SetupError> {
        let asked = Asked { url: url.clone(), secrets: Vec::new() };
        asked.queries("")?.is_onboarding_allowed().await.map_err(|error| asked.failure(error))
    }

    /// Sets the server up, with a first bucket; returns the token that may do anything.
    ///
    /// # Errors
    /// When the server does not take it, as one that has been set up before.
    pub async fn set_up(&self, bucket: &str, retention: Option<Duration>) -> Result<Secret, SetupError> {
        let asked = Asked { url: self.url.clone(), secrets: Vec::new() };
        let password = Some(self.password.expose().to_owned());
        let retention = Some(seconds_of(retention)?);
        let queries = asked.queries(&self.org)?;
        let made = queries.onboarding(&self.name, &self.org, bucket, password, None, retention).await;
        // The server's words may repeat the password.
        let asked = Asked { secrets: vec![self.password.clone()], ..asked };
        let token = made.map_err(|error| asked.failure(error))?.auth.and_then(|auth| auth.token);
        let token = token.ok_or_else(|| asked.unreachable("it answered without a token"))?;
        Ok(Secret::new(token))
    }

    /// A new token for [`InfluxAdmin`], for the password.
    ///
    /// # Errors
    /// When the password is refused, or the organization is not there.
    pub async fn sign_in(&self) -> Result<Secret, SetupError> {
        let asked = Asked { url: self.url.clone(), secrets: vec![self.password.clone()] };
        let http = net::http().map_err(|error| asked.unreachable(&error.to_string()))?;
        let login = http.post(asked.at("api/v2/signin"));
        let login = login.basic_auth(&self.name, Some(self.password.expose()));
        let answer = login.send().await;
        let answer = answer.map_err(|error| asked.unreachable(&HttpFailure::from(error).to_string()))?;
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            return Err(match asked.refused(status, &words_in(answer).await) {
                SetupError::Denied { url, reason, .. } => {
                    SetupError::Denied { url, what: "password", reason }
                }
                other => other,
            });
        }
        let cookie = answer.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_owned();
        let as_user = |request: RequestBuilder| exchange(&asked, request.header(COOKIE, &cookie));
        let user = as_user(http.get(asked.at("api/v2/me"))).await?;
        let orgs = http.get(asked.at("api/v2/orgs")).query(&[("org", self.org.as_str())]);
        let orgs = as_user(orgs).await?;
        let Some(org) = orgs["orgs"][0]["id"].as_str() else {
            return Err(SetupError::NoOrg { url: self.url.clone(), org: self.org.clone() });
        };
        let authorization = authorization(org, user["id"].as_str().unwrap_or_default());
        let made = as_user(http.post(asked.at("api/v2/authorizations")).json(&authorization)).await?;
        match made["token"].as_str() {
            Some(token) => Ok(Secret::new(token)),
            None => Err(asked.unreachable("it answered without a token")),
        }
    }
}

/// What it takes to make buckets and tokens.
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

async fn exchange(asked: &Asked, request: RequestBuilder) -> Result<Json, SetupError> {
    let failed = |error: reqwest::Error| asked.unreachable(&HttpFailure::from(error).to_string());
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let text = net::text(answer, LONGEST_ANSWER).await;
    let text = text.map_err(|failure| asked.unreachable(&failure.to_string()))?;
    if !status.is_success() {
        return Err(asked.refused(status.as_u16(), &words_of(&text)));
    }
    serde_json::from_str(&text)
        .map_err(|error| asked.unreachable(&format!("its answer does not read: {error}")))
}

// Tokens, each for one bucket.

/// What a token may do with its bucket.
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

/// A token, and the id by which the server lists it. From version 2.9 on a server keeps
/// hashes and lists no token's text, so that only the id tells tokens apart.
#[derive(Clone, Debug)]
pub struct BucketToken {
    /// The token.
    pub token: Secret,
    /// Its id.
    pub id: String,
}

/// What a server shows of a token is its text where it has this length; a token has 88
/// letters, and whatever stands in its place is shorter.
const SHORTEST: usize = 40;

impl InfluxAdmin {
    /// The id of `held`, if it is a token of that name that holds these rights on the
    /// bucket with this id, and no others. Where the server shows no tokens, the id
    /// `noted` for it when it was made decides; without one it is clear only where
    /// there is no other such token.
    ///
    /// # Errors
    /// When the server does not say.
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

    /// Whether a token is one of this server's that may see a bucket.
    async fn sees_bucket(&self, bucket: &str, token: &Secret) -> Result<bool, SetupError> {
        let request = self.http.get(self.asked.at(&format!("api/v2/buckets/{bucket}")));
        let token = format!("Token {}", token.expose());
        let sent = request.header(reqwest::header::AUTHORIZATION, token).send().await;
        let answer = sent.map_err(|error| self.asked.unreachable(&HttpFailure::from(error).to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(false),
            status => {
                let words = words_in(answer).await;
                Err(self.asked.refused(status.as_u16(), &words))
            }
        }
    }

    /// A new token of that name, with these rights on the bucket with this id.
    ///
    /// # Errors
    /// When the server does not make it.
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
        let made = made.map_err(|error| self.asked.failure(error))?;
        match (made.token, made.id) {
            (Some(token), Some(id)) => Ok(BucketToken { token: Secret::new(token), id }),
            _ => Err(self.asked.unreachable("it answered without a token or its id")),
        }
    }

    /// Removes all tokens of that name but the one with this id; returns how many.
    ///
    /// # Errors
    /// When the server does not remove one.
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
        let all = all.map_err(|error| self.asked.failure(error))?.authorizations;
        Ok(all.into_iter().filter(|known| known.description.as_deref() == Some(name)).collect())
    }
}

fn of_permission(permission: &Permission) -> (Action, ResourceType, Option<String>) {
    (permission.action, permission.resource.r#type, permission.resource.id.clone())
}
