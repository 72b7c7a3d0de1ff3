//! Tokens, each for one bucket.

use std::collections::BTreeSet;

use influxdb2::api::authorizations::{CreateAuthorizationRequest, ListAuthorizationsRequest};
use influxdb2::models::authorization::{Authorization, Status};
use influxdb2::models::permission::{Action, Permission};
use influxdb2::models::resource::{Resource, Type};
use outbound::Secret;
use reqwest::Method;

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

impl InfluxAdmin {
    /// Whether `held` is a token of that name that holds these rights on the
    /// bucket with this id, and no others.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn is_token(
        &self,
        name: &str,
        bucket: &str,
        rights: Rights,
        held: &Secret,
    ) -> Result<bool, SetupError> {
        let wanted: BTreeSet<_> =
            rights.actions().iter().map(|action| (*action, Type::Buckets, Some(bucket.to_owned()))).collect();
        let fits = |known: &Authorization| {
            let has: BTreeSet<_> = known.permissions.iter().map(of_permission).collect();
            is_of(known, held) && has == wanted && known.status != Some(Status::Inactive)
        };
        Ok(self.tokens(name).await?.iter().any(fits))
    }

    /// A new token of that name, with these rights on the bucket with this id.
    ///
    /// # Errors
    /// When the server does not make it.
    pub async fn new_token(&self, name: &str, bucket: &str, rights: Rights) -> Result<Secret, SetupError> {
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
        match made.map_err(|error| self.asked.failure(error))?.token {
            Some(token) => Ok(Secret::new(token)),
            None => Err(self.asked.unreachable("it answered without a token")),
        }
    }

    /// Removes all tokens of that name but one; returns how many.
    ///
    /// # Errors
    /// When the server does not remove one.
    pub async fn remove_tokens_but(&self, name: &str, kept: &Secret) -> Result<usize, SetupError> {
        let others = self.tokens(name).await?.into_iter().filter(|known| !is_of(known, kept));
        let mut removed = 0;
        for id in others.filter_map(|known| known.id) {
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

fn is_of(known: &Authorization, token: &Secret) -> bool {
    known.token.as_deref() == Some(token.expose())
}

fn of_permission(permission: &Permission) -> (Action, Type, Option<String>) {
    (permission.action, permission.resource.r#type, permission.resource.id.clone())
}
