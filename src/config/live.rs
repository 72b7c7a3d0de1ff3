//! The settings of the live sources, checked.

use std::time::Duration;

use anyhow::{Context, bail};
use net::Secret;
use url::Url;

use super::raw::{self, Text};
use super::secret::{Environment, Place};

const WEBSOCKET_URL: &str = "wss://delayed.massive.com/stocks";
const REST_URL: &str = "https://api.massive.com";
/// Real-time feeds answer under this name; of any other, bars are taken to come late.
const REAL_TIME_HOST: &str = "socket.";
const DELAYED: Duration = Duration::from_secs(900);
const SETTLE: Duration = Duration::from_secs(5);
const FILL_WAIT: Duration = Duration::from_secs(120);
const CALLS_PER_MINUTE: u32 = 5;

const GUARDIAN_URL: &str = "https://content.guardianapis.com";
const CALLS_PER_DAY: u32 = 500;
const CALLS_PER_SECOND: u32 = 1;
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// No delay that is set is longer.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Live prices.
#[derive(Clone, Debug)]
pub struct Polygon {
    pub websocket_url: Url,
    pub rest_url: Url,
    pub api_key: Option<Secret>,
    /// How late the feed is by its plan.
    pub feed_delay: Duration,
    /// How long after its end a minute may still get its first bars.
    pub settle: Duration,
    /// How long the clock waits for a hole to be filled.
    pub fill_wait: Duration,
    pub calls_per_minute: u32,
}

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

/// Where the key of the prices may stand.
pub fn polygon_key(raw: &raw::Polygon) -> Place<'_> {
    let (typed, file) = (raw.api_key.as_ref().map(|typed| &typed.0), raw.api_key_file.as_deref());
    Place { key: "polygon.api_key", common: "POLYGON_API_KEY", typed, file }
}

/// Where the key of the news may stand.
pub fn guardian_key(raw: &raw::Guardian) -> Place<'_> {
    let (typed, file) = (raw.api_key.as_ref().map(|typed| &typed.0), raw.api_key_file.as_deref());
    Place { key: "guardian.api_key", common: "GUARDIAN_API_KEY", typed, file }
}

impl raw::Polygon {
    /// Checks every value, and fills in what is missing.
    pub fn check(self, environment: Environment<'_>) -> anyhow::Result<Polygon> {
        let websocket_url =
            address("polygon.websocket_url", self.websocket_url.as_deref(), WEBSOCKET_URL, &["wss", "ws"])?;
        let real_time = websocket_url.host_str().is_some_and(|host| host.starts_with(REAL_TIME_HOST));
        let delay = if real_time { Duration::ZERO } else { DELAYED };
        Ok(Polygon {
            rest_url: address("polygon.rest_url", self.rest_url.as_deref(), REST_URL, &["https", "http"])?,
            api_key: polygon_key(&self).find(environment)?,
            feed_delay: span("polygon.feed_delay", self.feed_delay.as_ref(), delay)?,
            settle: span("polygon.settle", self.settle.as_ref(), SETTLE)?,
            fill_wait: span("polygon.fill_wait", self.fill_wait.as_ref(), FILL_WAIT)?,
            calls_per_minute: rate("polygon.calls_per_minute", self.calls_per_minute, CALLS_PER_MINUTE)?,
            websocket_url,
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

    fn polygon(raw: raw::Polygon) -> Result<Polygon, String> {
        raw.check(&|_| None).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_real_time_feed_has_no_delay_unless_one_is_set_and_any_other_has() {
        let of = |url: Option<&str>, delay: Option<&str>| {
            let feed_delay = delay.map(|delay| Text::Word(delay.into()));
            let raw = raw::Polygon { websocket_url: url.map(Into::into), feed_delay, ..Default::default() };
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
                raw::Polygon { rest_url: Some("api.massive.com".into()), ..Default::default() },
                "polygon.rest_url",
            ),
            (
                raw::Polygon { rest_url: Some("https://x/?apiKey=k".into()), ..Default::default() },
                "holds no key",
            ),
            (raw::Polygon { websocket_url: Some("https://x/".into()), ..Default::default() }, "wss://"),
            (raw::Polygon { settle: text("soon"), ..Default::default() }, "polygon.settle is `soon`"),
            (raw::Polygon { settle: text("-1"), ..Default::default() }, "polygon.settle"),
            (raw::Polygon { fill_wait: text("25h"), ..Default::default() }, "at most a day"),
            (
                raw::Polygon { calls_per_minute: Some(0), ..Default::default() },
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
