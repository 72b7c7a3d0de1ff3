//! What can go wrong with a set-up, said with what to do about it and without secrets.

use std::time::Duration;

use influxdb2::RequestError;
use net::{HttpFailure, Secret, redact};
use serde::Deserialize;
use url::Url;

/// How long a server may be silent while it sets up a bucket or a token.
const ANSWER: Duration = Duration::from_secs(60);
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
pub(super) struct Asked {
    pub(super) url: Url,
    pub(super) secrets: Vec<Secret>,
}

impl Asked {
    /// The crate's client, with the first secret as its token.
    pub(super) fn queries(&self, org: &str) -> Result<influxdb2::Client, SetupError> {
        let token = self.secrets.first().map(Secret::expose).unwrap_or_default();
        let builder = influxdb2::ClientBuilder::with_builder(
            net::patient_builder(ANSWER),
            self.url.as_str(),
            org,
            token,
        );
        builder.build().map_err(|error| self.unreachable(&error.to_string()))
    }

    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        url
    }

    pub(super) fn failure(&self, error: RequestError) -> SetupError {
        match error {
            RequestError::Http { status, text } => self.refused(status.as_u16(), &words_of(&text)),
            RequestError::ReqwestProcessing { source } => {
                self.unreachable(&HttpFailure::from(source).to_string())
            }
            other => self.unreachable(&other.to_string()),
        }
    }

    pub(super) fn refused(&self, status: u16, reason: &str) -> SetupError {
        let (url, reason) = (self.url.clone(), self.without_secrets(reason));
        match status {
            401 | 403 => SetupError::Denied { url, what: "token", reason },
            408 | 425 | 429 | 500.. => {
                SetupError::Unavailable { url, reason: format!("it answers {status}: {reason}") }
            }
            _ => SetupError::Refused { url, status, reason },
        }
    }

    pub(super) fn unreachable(&self, reason: &str) -> SetupError {
        SetupError::Unavailable { url: self.url.clone(), reason: self.without_secrets(reason) }
    }

    fn without_secrets(&self, text: &str) -> String {
        redact(text, &self.secrets.iter().collect::<Vec<_>>())
    }
}

/// The server's own words.
pub(super) fn words_of(answer: &str) -> String {
    #[derive(Deserialize)]
    struct Answer {
        message: String,
    }
    let message = serde_json::from_str::<Answer>(answer).map(|answer| answer.message);
    let words: String = message.unwrap_or_else(|_| answer.trim().to_owned()).chars().take(WORDS).collect();
    if words.is_empty() { "no reason given".to_owned() } else { words }
}
