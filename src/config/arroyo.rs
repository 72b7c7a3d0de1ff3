//! The settings of the distributed engine, checked.

use net::Secret;
use url::Url;

use super::above_zero;
use super::live::address;
use super::raw;
use super::secret::{Environment, Place};

const URL: &str = "http://localhost:5115";
const PARALLELISM: u32 = 2;

/// The cluster that `tickwire deploy` brings jobs to.
#[derive(Clone, Debug)]
pub struct Arroyo {
    pub url: Url,
    pub api_key: Option<Secret>,
    /// Tasks of each operator.
    pub parallelism: u32,
}

/// Where the key of the cluster's API may stand.
fn api_key(raw: &raw::Arroyo) -> Place<'_> {
    let (typed, file) = (raw.api_key.as_ref().map(|typed| &typed.0), raw.api_key_file.as_deref());
    Place { key: "arroyo.api_key", common: "ARROYO_API_KEY", typed, file }
}

impl raw::Arroyo {
    /// Checks every value, and fills in what is missing.
    pub fn check(self, environment: Environment<'_>) -> anyhow::Result<Arroyo> {
        Ok(Arroyo {
            api_key: api_key(&self).find(environment)?,
            url: address("arroyo.url", self.url.as_deref(), URL, &["https", "http"])?,
            parallelism: above_zero("arroyo.parallelism", self.parallelism, PARALLELISM)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named_with_its_key_and_no_key_is_shown() {
        let check = |raw: raw::Arroyo| raw.check(&|_| None).map_err(|error| format!("{error:#}"));
        let error = check(raw::Arroyo { parallelism: Some(0), ..Default::default() }).unwrap_err();
        assert!(error.contains("arroyo.parallelism is 0"), "{error}");
        let error = check(raw::Arroyo { url: Some("arroyo:5115".into()), ..Default::default() }).unwrap_err();
        assert!(error.contains("arroyo.url"), "{error}");
        let key = Some(raw::TypedSecret(Secret::new("hidden-key")));
        let arroyo = check(raw::Arroyo { api_key: key, ..Default::default() }).unwrap();
        assert!(arroyo.api_key.is_some() && !format!("{arroyo:?}").contains("hidden"));
    }
}
