//! The settings of the page that say who may reach it, checked.

use ::web::{PasswordHash, Proxies, ProxyNames};
use anyhow::{Context, bail};
use reqwest::header::HeaderName;
use url::Url;

use super::raw;
use super::secret::{Environment, Place};

/// Who may reach the page.
#[derive(Clone, Debug, Default)]
pub struct Web {
    /// The address that browsers know.
    pub public_url: Option<Url>,
    /// The hash of the password, where the settings hold one.
    pub password: Option<PasswordHash>,
    /// Proxies that are believed where a request comes from.
    pub trusted_proxies: Proxies,
    /// How these proxies say who has signed in.
    pub proxy_names: Option<ProxyNames>,
}

/// Where the hash of the password may stand; it has no common name.
fn password_hash(raw: &raw::Web) -> Place<'_> {
    Place {
        key: "web.password_hash",
        common: "TICKWIRE_WEB__PASSWORD_HASH",
        typed: raw.password_hash.as_ref().map(|typed| &typed.0),
        file: raw.password_hash_file.as_deref(),
    }
}

impl raw::Web {
    /// Checks every value but the address to listen at.
    pub fn check(self, environment: Environment<'_>) -> anyhow::Result<Web> {
        let password = password_hash(&self).find(environment)?;
        let password = password.map(|hash| PasswordHash::parse(hash.expose())).transpose();
        let proxies = Proxies::parse(self.trusted_proxies.iter().map(String::as_str));
        let trusted_proxies = proxies.context("web.trusted_proxies")?;
        let header = self.proxy_user_header.as_deref().map(user_header).transpose()?;
        if header.is_some() && trusted_proxies.are_none() {
            bail!(
                "web.proxy_user_header is believed from trusted proxies only, and there are none: name them in web.trusted_proxies"
            );
        }
        if header.is_none() && !self.proxy_owners.is_empty() {
            bail!(
                "web.proxy_owners names who may change things as web.proxy_user_header says it: set that too"
            );
        }
        Ok(Web {
            password: password.context("web.password_hash")?,
            public_url: self.public_url.as_deref().map(public_url).transpose()?,
            trusted_proxies,
            proxy_names: header.map(|header| ProxyNames { header, owners: self.proxy_owners }),
        })
    }
}

fn user_header(typed: &str) -> anyhow::Result<HeaderName> {
    let header: HeaderName = typed.parse().with_context(|| {
        format!("web.proxy_user_header is `{typed}`: it takes the name of a header, as X-Forwarded-User")
    })?;
    // What browsers and proxies send for other reasons names nobody.
    let others = ["authorization", "cookie", "host", "origin", "user-agent", "x-forwarded-for", "forwarded"];
    if others.contains(&header.as_str()) {
        bail!("web.proxy_user_header is `{typed}`, which says something else: take one as X-Forwarded-User");
    }
    Ok(header)
}

fn public_url(typed: &str) -> anyhow::Result<Url> {
    let wanted = "it takes the address that browsers know, without a path, as https://ticks.example";
    let url = Url::parse(typed).with_context(|| format!("web.public_url is `{typed}`: {wanted}"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() || url.path() != "/" || !bare {
        bail!("web.public_url is not understood: {wanted}");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(raw: raw::Web) -> String {
        format!("{:#}", raw.check(&|_| None).unwrap_err())
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_key_and_no_secret() {
        for typed in
            ["ticks.example", "ftp://ticks.example", "https://ticks.example/a", "https://u:p@ticks.example"]
        {
            let raw = raw::Web { public_url: Some(typed.into()), ..Default::default() };
            assert!(refused(raw).contains("web.public_url"), "{typed}");
        }
        let raw = raw::Web { trusted_proxies: vec!["10.0.0.1:80".into()], ..Default::default() };
        let error = refused(raw);
        assert!(error.contains("web.trusted_proxies") && error.contains("`10.0.0.1:80`"), "{error}");
        let proxies = || vec!["10.0.0.0/8".to_owned()];
        for (header, trusted_proxies, owners) in [
            (Some("X-Forwarded-User"), Vec::new(), Vec::new()),
            (Some("not a header"), proxies(), Vec::new()),
            (Some("Cookie"), proxies(), Vec::new()),
            (None, proxies(), vec!["anna".to_owned()]),
        ] {
            let proxy_user_header = header.map(str::to_owned);
            let raw =
                raw::Web { proxy_user_header, trusted_proxies, proxy_owners: owners, ..Default::default() };
            assert!(refused(raw).contains("web.proxy_user_header"), "{header:?}");
        }
        let hash = Some(raw::TypedSecret(net::Secret::new("hunter2-hunter2")));
        let error = refused(raw::Web { password_hash: hash, ..Default::default() });
        assert!(error.contains("web.password_hash") && !error.contains("hunter2"), "{error}");
    }
}
