//! Tokens, each for one bucket.

use std::collections::BTreeSet;

use influxdb2::api::authorizations::{CreateAuthorizationRequest, ListAuthorizationsRequest};
use influxdb2::models::authorization::{Authorization, Status};
use influxdb2::models::permission::{Action, Permission};
use influxdb2::models::resource::{Resource, Type};
use net::{HttpFailure, Secret};
use reqwest::{Method, StatusCode};

use super::error::words_of;
use super::{InfluxAdmin, SetupError};

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
        let wanted: BTreeSet<_> =
            rights.actions().iter().map(|action| (*action, Type::Buckets, Some(bucket.to_owned()))).collect();
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
                let words = words_of(&answer.text().await.unwrap_or_default());
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
            ..Resource::new(Type::Buckets)
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

fn of_permission(permission: &Permission) -> (Action, Type, Option<String>) {
    (permission.action, permission.resource.r#type, permission.resource.id.clone())
}
