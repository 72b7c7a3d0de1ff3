//! The hosts of the live sources: reached, and the keys accepted; and our clock against theirs.

use std::time::Duration;

use chrono::DateTime;
use model::time::{self, Millis, SECOND};
use net::{HttpFailure, Secret, redact};
use producer::{FeedKind, FeedSettings};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use url::Url;

use super::Finding;
use crate::config::Config;

/// A clock may be off by so much; a bar of a minute ago must not look as one to come.
const CLOCK_OFF: Millis = 10 * SECOND;
/// How long a host may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest answer that is read, in bytes: only the words of a refusal matter.
const LONGEST_ANSWER: usize = 1 << 20;
const GUARDIAN: &str = "Guardian";
const CLOCK: &str = "clock";

/// An answer of a host.
struct Answer {
    status: StatusCode,
    /// Its own words, without the key.
    said: String,
    /// How far our clock is ahead of its.
    ahead: Option<Millis>,
}

/// One check a host whose key is there, and one of the clock.
pub async fn check(config: &Config) -> Vec<Finding> {
    let client = match net::http() {
        Ok(client) => client,
        Err(error) => return vec![Finding::wrong("network", error.to_string())],
    };
    let prices = futures::future::join_all(
        config.feeds.iter().map(|(feed, settings)| price_feed(&client, *feed, settings)),
    );
    let (mut hosts, guardian) = tokio::join!(prices, guardian(&client, config));
    hosts.push(guardian);
    let clocks: Vec<_> = hosts.iter().filter_map(|(_, ahead)| *ahead).collect();
    hosts.into_iter().map(|(finding, _)| finding).chain([clock(&clocks)]).collect()
}

/// Asks for one minute of history, which is one call of the plan's quota. The
/// feed is left alone: some close the older one of two connections.
async fn price_feed(
    client: &Client,
    feed: &dyn FeedKind,
    settings: &FeedSettings,
) -> (Finding, Option<Millis>) {
    let about = feed.description();
    let (title, key) = (about.title, &settings.api_key);
    let variable = about.key.as_ref().map_or("", |key| key.variable);
    if about.key.is_some() && key.is_empty() {
        let said = format!("no key: set {variable}, or {variable}_FILE, for live prices");
        return (Finding::open(title, said), None);
    }
    let base = match Url::parse(&settings.rest_url) {
        Ok(base) => base,
        Err(error) => return (Finding::wrong(title, format!("{}.rest_url: {error}", about.name)), None),
    };
    let request = match feed.probe(client, settings.clone(), time::now()) {
        Ok(request) => request,
        Err(error) => return (Finding::wrong(title, error.to_string()), None),
    };
    let answer = match ask(request, key).await {
        Ok(answer) => answer,
        Err(error) => return (unreachable(title, &base, &error), None),
    };
    let (said, host) = (&answer.said, base.authority());
    let accepted = if about.key.is_some() { ", the key is accepted" } else { "" };
    let finding = match answer.status {
        StatusCode::OK => Finding::good(title, format!("{host} answers{accepted}")),
        StatusCode::TOO_MANY_REQUESTS => {
            Finding::good(title, format!("{host} answers, the calls of this minute are used up"))
        }
        StatusCode::UNAUTHORIZED => Finding::wrong(
            title,
            format!("the key is refused ({said}): copy it again from your account's page into {variable}"),
        ),
        StatusCode::FORBIDDEN => Finding::open(
            title,
            format!(
                "the key is accepted and its plan has no history of last week ({said}): holes in live prices will stay as recorded gaps"
            ),
        ),
        status => Finding::wrong(
            title,
            format!("{host} answers {status} ({said}): check {}.rest_url, or try again later", about.name),
        ),
    };
    (finding, answer.ahead)
}

/// Asks for one headline, which is one call of the day's quota.
async fn guardian(client: &Client, config: &Config) -> (Finding, Option<Millis>) {
    let Some(key) = &config.guardian.api_key else {
        return (
            Finding::open(GUARDIAN, "no key: set GUARDIAN_API_KEY, or GUARDIAN_API_KEY_FILE, for headlines"),
            None,
        );
    };
    let base = &config.guardian.url;
    let request = client.get(below(base, "search")).query(&[("page-size", "1"), ("api-key", key.expose())]);
    let answer = match ask(request, key).await {
        Ok(answer) => answer,
        Err(error) => return (unreachable(GUARDIAN, base, &error), None),
    };
    let said = &answer.said;
    let finding = match answer.status {
        StatusCode::OK => {
            Finding::good(GUARDIAN, format!("{} answers, the key is accepted", base.authority()))
        }
        StatusCode::TOO_MANY_REQUESTS => Finding::open(
            GUARDIAN,
            format!(
                "the calls of the day are used up: headlines come again tomorrow; guardian.calls_per_day is {}",
                config.guardian.calls_per_day
            ),
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Finding::wrong(
            GUARDIAN,
            format!("the key is refused ({said}): copy it again into GUARDIAN_API_KEY"),
        ),
        status => Finding::wrong(
            GUARDIAN,
            format!("{} answers {status} ({said}): check guardian.url, or try again later", base.authority()),
        ),
    };
    (finding, answer.ahead)
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

fn unreachable(what: &'static str, base: &Url, error: &HttpFailure) -> Finding {
    let host = base.authority();
    Finding::wrong(
        what,
        format!(
            "{host} cannot be reached ({error}): check the network, a proxy or firewall, and the address"
        ),
    )
}

async fn ask(request: RequestBuilder, key: &Secret) -> Result<Answer, HttpFailure> {
    let sent = time::now();
    let response = request.timeout(PATIENCE).send().await?;
    let received = time::now();
    let (status, ahead) = (response.status(), ahead(response.headers(), sent, received));
    // An error without a body, or a body that is cut, says enough by its status.
    let body = net::text(response, LONGEST_ANSWER).await.unwrap_or_default();
    Ok(Answer { status, said: words(&body, key), ahead })
}

/// How far our clock is ahead, taking the answer to be written halfway; the
/// header knows whole seconds only.
fn ahead(headers: &HeaderMap, sent: Millis, received: Millis) -> Option<Millis> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    let theirs = date.timestamp_millis() + SECOND / 2;
    Some(sent + (received - sent) / 2 - theirs)
}

/// The words of a refusal, in whichever of the known shapes it comes.
fn words(body: &str, key: &Secret) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: Option<String>,
        message: Option<String>,
        response: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: Option<String>,
    }
    let said = serde_json::from_str::<Refusal>(body).ok().and_then(|refusal| {
        refusal.error.or(refusal.message).or(refusal.response.and_then(|inner| inner.message))
    });
    let said = said.unwrap_or_else(|| "no reason given".into());
    let plain: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
    redact(&plain, &[key])
}

fn clock(ahead: &[Millis]) -> Finding {
    let Some(most) = ahead.iter().copied().max_by_key(|ahead| ahead.abs()) else {
        return Finding::open(CLOCK, "not compared: no host was asked");
    };
    let off = format!("{:.1} s {}", most.abs() as f64 / 1_000.0, if most < 0 { "slow" } else { "fast" });
    match most.abs() {
        0..=CLOCK_OFF => Finding::good(
            CLOCK,
            format!("within {:.0} s of the hosts'", (most.abs() as f64 / 1_000.0).max(1.0).ceil()),
        ),
        _ => Finding::wrong(
            CLOCK,
            format!("this machine's clock is {off}: set it by a time server (NTP), event time is told by it"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_compared_halfway_through_the_exchange() {
        let headers = HeaderMap::from_iter([(DATE, "Fri, 20 Nov 2026 14:31:30 GMT".parse().unwrap())]);
        let theirs = time::parse("2026-11-20T14:31:30Z").unwrap() + 500;
        assert_eq!(ahead(&headers, theirs - 100, theirs + 100), Some(0));
        assert_eq!(ahead(&headers, theirs + 3_600_000, theirs + 3_600_000), Some(3_600_000));
        assert_eq!(ahead(&HeaderMap::new(), 0, 0), None);
        let said = clock(&[200, -3_600_000]);
        assert!(said.said.contains("3600.0 s slow") && said.said.contains("NTP"), "{}", said.said);
    }

    #[test]
    fn refusals_are_read_in_every_shape_and_without_the_key() {
        let key = Secret::new("key-4711");
        for (body, said) in [
            (r#"{"status":"ERROR","error":"Unknown API Key key-4711"}"#, "Unknown API Key •••"),
            (r#"{"message":"Unauthorized"}"#, "Unauthorized"),
            (r#"{"response":{"status":"error","message":"no"}}"#, "no"),
            ("<html>", "no reason given"),
            ("", "no reason given"),
        ] {
            assert_eq!(words(body, &key), said);
        }
    }
}
