//! Calls to the Content API.

use std::time::Duration;

use model::time::{self, Millis};
use net::{HttpFailure, Secret, redact, retry_after};
use reqwest::header::DATE;
use url::Url;

use super::GuardianConfig;
use super::answer::{self, CallError, Page};
use super::query::{Query, Request};
use crate::NewsError;

/// A longer answer is not read: a page of fifty results has a tenth of this.
const LONGEST_ANSWER: usize = 8 << 20;

/// The API and the key to it. Its errors hold neither address nor key.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: Url,
    key: Secret,
    timeout: Duration,
}

impl Api {
    pub(crate) fn new(config: &GuardianConfig) -> Result<Api, NewsError> {
        let base = Url::parse(&config.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| NewsError::GuardianAddress(redact(&config.url, &[&config.api_key])))?;
        let client = net::http()?;
        Ok(Api { client, base, key: config.api_key.clone(), timeout: config.timeout })
    }

    /// Asks for one page.
    pub(crate) async fn search(self, query: Query, request: Request) -> Result<Page, CallError> {
        let url = query.url(&self.base, self.key.expose(), &request);
        let answer = tokio::time::timeout(self.timeout, self.exchange(url)).await;
        let late = || trouble(format!("no answer within {} s", self.timeout.as_secs_f64()));
        let redacted = |said: String| redact(&said, &[&self.key]);
        answer.unwrap_or_else(|_| Err(late())).map_err(|error| match error {
            CallError::Key(said) => CallError::Key(redacted(said)),
            CallError::Search(said) => CallError::Search(redacted(said)),
            CallError::Trouble { said, wait } => CallError::Trouble { said: redacted(said), wait },
            other => other,
        })
    }

    async fn exchange(&self, url: Url) -> Result<Page, CallError> {
        let failed = |error| trouble(HttpFailure::from(error).to_string());
        let response = self.client.get(url).send().await.map_err(failed)?;
        let (status, wait) = (response.status().as_u16(), retry_after(response.headers()));
        let date = response.headers().get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        let body = net::body(response, LONGEST_ANSWER).await;
        let body = body.map_err(|error| trouble(error.to_string()))?;
        if status == 200 {
            return answer::page(&body, date);
        }
        Err(match answer::refusal(status, &body) {
            CallError::TooMany(_) => CallError::TooMany(wait),
            CallError::Trouble { said, .. } => CallError::Trouble { said, wait },
            other => other,
        })
    }
}

fn trouble(said: String) -> CallError {
    CallError::Trouble { said, wait: None }
}

fn http_date(text: &str) -> Option<Millis> {
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(date.timestamp_millis()).filter(|&at| at > 0 && at < time::DAY * 84_000)
}
