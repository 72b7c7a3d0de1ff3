//! The settings of the live sources, checked.

use std::time::Duration;

use anyhow::{Context, bail};
use net::Secret;
use producer::{FeedDescription, FeedSettings};
use url::Url;

use super::raw::{self, Text};
use super::secret::{Environment, Place};

const GUARDIAN_URL: &str = "https://content.guardianapis.com";
const CALLS_PER_DAY: u32 = 500;
const CALLS_PER_SECOND: u32 = 1;
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// No delay that is set is longer.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Live news.
#[derive(Clone, Debug)]
pub struct Guardian {
    pub url: Url,
    pub api_key: Option<Secret>,
    pub calls_per_day: u32,
    pub calls_per_second: u32,
    /// How long the clock waits for a term that cannot be asked.
    pub max_wait: Duration,
    /// For entries that name none themselves.
    pub sections: Vec<String>,
}

/// Where the key of the news may stand.
pub fn guardian_key(raw: &raw::Guardian) -> Place<'_> {
    let (typed, file) = (raw.api_key.as_ref().map(|typed| &typed.0), raw.api_key_file.as_deref());
    Place { key: "guardian.api_key", common: "GUARDIAN_API_KEY", typed, file }
}

impl raw::PriceFeed {
    /// Checks every value by what `feed` says of itself, and fills in what is missing. The key
    /// is empty where there is none.
    pub fn check(self, feed: &FeedDescription, environment: Environment<'_>) -> anyhow::Result<FeedSettings> {
        let key = |name: &str| format!("{}.{name}", feed.name);
        let websocket_url = address(
            &key("websocket_url"),
            self.websocket_url.as_deref(),
            feed.websocket_url,
            &["wss", "ws"],
        )?;
        let delay = (feed.feed_delay)(websocket_url.host_str().unwrap_or_default());
        let (typed, file) = (self.api_key.as_ref().map(|typed| &typed.0), self.api_key_file.as_deref());
        let own = key("api_key");
        let api_key = match &feed.key {
            Some(named) => Place { key: &own, common: named.variable, typed, file }.find(environment)?,
            None if typed.is_some() || file.is_some() => {
                bail!("{own} is set, and {} takes no key", feed.title)
            }
            None => None,
        };
        Ok(FeedSettings {
            rest_url: address(&key("rest_url"), self.rest_url.as_deref(), feed.rest_url, &["https", "http"])?
                .into(),
            api_key: api_key.unwrap_or_default(),
            feed_delay: span(&key("feed_delay"), self.feed_delay.as_ref(), delay)?,
            settle: span(&key("settle"), self.settle.as_ref(), feed.settle)?,
            fill_wait: span(&key("fill_wait"), self.fill_wait.as_ref(), feed.fill_wait)?,
            calls_per_minute: rate(&key("calls_per_minute"), self.calls_per_minute, feed.calls_per_minute)?,
            websocket_url: websocket_url.into(),
            ..feed.settings()
        })
    }
}

impl raw::Guardian {
    /// Checks every value, and fills in what is missing.
    pub fn check(self, environment: Environment<'_>) -> anyhow::Result<Guardian> {
        let api_key = guardian_key(&self).find(environment)?;
        let sample = control::watchlist::Entry {
            search_term: Some("sections".into()),
            sections: self.sections,
            ..Default::default()
        };
        sample.check().context("guardian.sections")?;
        Ok(Guardian {
            url: address("guardian.url", self.url.as_deref(), GUARDIAN_URL, &["https", "http"])?,
            api_key,
            calls_per_day: rate("guardian.calls_per_day", self.calls_per_day, CALLS_PER_DAY)?,
            calls_per_second: rate("guardian.calls_per_second", self.calls_per_second, CALLS_PER_SECOND)?,
            max_wait: span("guardian.max_wait", self.max_wait.as_ref(), MAX_WAIT)?,
            sections: sample.sections,
        })
    }
}

/// An address without credentials: those have their own keys.
pub(super) fn address(
    key: &str,
    typed: Option<&str>,
    default: &str,
    schemes: &[&str],
) -> anyhow::Result<Url> {
    let url = Url::parse(typed.unwrap_or(default))
        .with_context(|| format!("{key} is no address: it takes one as {default}"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !schemes.contains(&url.scheme()) || !url.has_host() || !bare {
        bail!(
            "{key} takes an address that begins with {}:// and holds no key, as {default}",
            schemes.join(":// or ")
        );
    }
    Ok(url)
}

/// A length of time: seconds as a number, or with a unit, as `90s`, `15m`, `1h`.
fn span(key: &str, typed: Option<&Text>, default: Duration) -> anyhow::Result<Duration> {
    let Some(typed) = typed else { return Ok(default) };
    let text = typed.to_string();
    let (number, unit) = match text.trim().char_indices().last() {
        Some((at, 's')) => (&text.trim()[..at], 1.0),
        Some((at, 'm')) => (&text.trim()[..at], 60.0),
        Some((at, 'h')) => (&text.trim()[..at], 3_600.0),
        _ => (text.trim(), 1.0),
    };
    let seconds = number.trim().parse::<f64>().ok().map(|number| number * unit);
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(span) if span <= LONGEST => Ok(span),
        _ => bail!(
            "{key} is `{text}`: it takes seconds (900) or a number with its unit (90s, 15m, 1h), at most a day"
        ),
    }
}

fn rate(key: &str, typed: Option<u32>, default: u32) -> anyhow::Result<u32> {
    match typed {
        Some(0) => bail!("{key} is 0: it takes a whole number above; without calls nothing would ever come"),
        Some(calls) => Ok(calls),
        None => Ok(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(raw: raw::PriceFeed) -> Result<FeedSettings, String> {
        let feed = producer::feed("polygon").unwrap().description();
        raw.check(feed, &|_| None).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_real_time_feed_has_no_delay_unless_one_is_set_and_any_other_has() {
        let of = |url: Option<&str>, delay: Option<&str>| {
            let feed_delay = delay.map(|delay| Text::Word(delay.into()));
            let raw = raw::PriceFeed { websocket_url: url.map(Into::into), feed_delay, ..Default::default() };
            polygon(raw).unwrap().feed_delay.as_secs()
        };
        assert_eq!(of(None, None), 900);
        assert_eq!(of(Some("wss://socket.massive.com/stocks"), None), 0);
        assert_eq!(of(Some("wss://socket.polygon.io/stocks"), Some("15m")), 900);
        assert_eq!(of(Some("ws://127.0.0.1:9000/"), None), 900);
        assert_eq!(of(Some("ws://127.0.0.1:9000/"), Some("0")), 0);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_key() {
        let text = |text: &str| Some(Text::Word(text.into()));
        for (raw, said) in [
            (
                raw::PriceFeed { rest_url: Some("api.massive.com".into()), ..Default::default() },
                "polygon.rest_url",
            ),
            (
                raw::PriceFeed { rest_url: Some("https://x/?apiKey=k".into()), ..Default::default() },
                "holds no key",
            ),
            (raw::PriceFeed { websocket_url: Some("https://x/".into()), ..Default::default() }, "wss://"),
            (raw::PriceFeed { settle: text("soon"), ..Default::default() }, "polygon.settle is `soon`"),
            (raw::PriceFeed { settle: text("-1"), ..Default::default() }, "polygon.settle"),
            (raw::PriceFeed { fill_wait: text("25h"), ..Default::default() }, "at most a day"),
            (
                raw::PriceFeed { calls_per_minute: Some(0), ..Default::default() },
                "polygon.calls_per_minute is 0",
            ),
        ] {
            let error = polygon(raw).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("apiKey=k"), "{error}");
        }
        let raw = raw::Guardian { sections: vec!["US News".into()], ..Default::default() };
        let error = format!("{:#}", raw.check(&|_| None).unwrap_err());
        assert!(error.contains("guardian.sections") && error.contains("`US News`"), "{error}");
    }
}
