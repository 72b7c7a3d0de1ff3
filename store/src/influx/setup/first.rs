//! The first user of a server: who sets it up gets a token that may do anything;
//! who has lost that gets a lesser one for the password.

use std::time::Duration;

use net::{HttpFailure, Secret};
use reqwest::RequestBuilder;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value as Json, json};
use url::Url;

use super::error::{Asked, words_of};
use super::{SetupError, seconds_of};

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

    /// A new token for [`super::InfluxAdmin`], for the password.
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
            return Err(
                match asked
                    .refused(answer.status().as_u16(), &words_of(&answer.text().await.unwrap_or_default()))
                {
                    SetupError::Denied { url, reason, .. } => {
                        SetupError::Denied { url, what: "password", reason }
                    }
                    other => other,
                },
            );
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
    let text = answer.text().await.map_err(failed)?;
    if !status.is_success() {
        return Err(asked.refused(status.as_u16(), &words_of(&text)));
    }
    serde_json::from_str(&text)
        .map_err(|error| asked.unreachable(&format!("its answer does not read: {error}")))
}
