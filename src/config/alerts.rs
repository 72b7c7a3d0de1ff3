//! The settings of alerts, checked.

use anyhow::{Context, bail};
use net::Secret;
use url::Url;

use super::raw;
use super::secret::{Environment, Place};

/// Where alerts are posted.
#[derive(Clone)]
pub struct Webhook {
    pub url: Url,
    pub secret: Secret,
}

/// What stands behind the host may be a key.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook at {}", self.url.host_str().unwrap_or_default())
    }
}

/// Where the secret of the webhook may stand.
fn webhook_secret(raw: &raw::Alerts) -> Place<'_> {
    let (typed, file) =
        (raw.webhook_secret.as_ref().map(|typed| &typed.0), raw.webhook_secret_file.as_deref());
    Place { key: "alerts.webhook_secret", common: "ALERTS_WEBHOOK_SECRET", typed, file }
}

impl raw::Alerts {
    /// Checks the address, and that there is a secret to sign with; neither is quoted.
    pub fn check(self, environment: Environment<'_>) -> anyhow::Result<Option<Webhook>> {
        let secret = webhook_secret(&self).find(environment)?;
        let Some(typed) = self.webhook_url.filter(|typed| !typed.is_empty()) else { return Ok(None) };
        let url = Url::parse(&typed).ok().filter(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let Some(url) = url else {
            bail!(
                "alerts.webhook_url takes an address that begins with https:// or http:// and names no user, as https://example.org/hooks/tickwire"
            )
        };
        let secret = secret.context(
            "alerts.webhook_url is set and there is nothing to sign with: set ALERTS_WEBHOOK_SECRET, or ALERTS_WEBHOOK_SECRET_FILE to a file that holds a long random text, and give the same to the receiver",
        )?;
        Ok(Some(Webhook { url, secret }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::TypedSecret;

    fn checked(url: &str, secret: &str) -> Result<Option<Webhook>, String> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let raw = raw::Alerts {
            webhook_url: some(url),
            webhook_secret: some(secret).map(|secret| TypedSecret(Secret::new(secret))),
            webhook_secret_file: None,
        };
        raw.check(&|_| None).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_webhook_needs_an_address_and_a_secret_and_shows_neither() {
        assert!(checked("", "").unwrap().is_none());
        let webhook = checked("https://example.org/hooks/hidden-token", "hidden-secret").unwrap().unwrap();
        let shown = format!("{webhook:?}");
        assert!(shown.contains("example.org") && !shown.contains("hidden"), "{shown}");
        let error = checked("https://example.org/hidden-token", "").unwrap_err();
        assert!(error.contains("ALERTS_WEBHOOK_SECRET_FILE") && !error.contains("hidden"), "{error}");
        for bad in
            ["example.org/hidden", "ftp://example.org/hidden", "https://hidden:x@example.org/", "https://"]
        {
            let error = checked(bad, "secret").unwrap_err();
            assert!(error.contains("alerts.webhook_url") && !error.contains("hidden"), "{error}");
        }
    }
}
