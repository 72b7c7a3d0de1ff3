//! What a run works from: live, replayed or simulated, and never a mixture.

use std::path::Path;

use anyhow::{Context, bail};
use model::AssetClass;
use news_watcher::{GuardianConfig, NewsSource};
use producer::{FeedDescription, FeedKind, FeedSettings, PriceSource};

use super::Config;
use crate::data_folder::{LIVE, run_name};

/// What a run works from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub prices: PriceSource,
    pub news: NewsSource,
}

/// What begins the name of a replay.
const REPLAY: &str = "replay:";

/// What kind of data a run is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Live,
    Replayed,
    Simulated,
}

impl Sources {
    /// Whether prices are a real market's, as they happen.
    pub fn are_live(&self) -> bool {
        matches!(self.prices, PriceSource::Live { .. })
    }
}

impl Config {
    /// Whether `tickwire up` goes live with these settings.
    pub fn is_live(&self) -> bool {
        match self.prices.as_deref() {
            None => self.feed_with_key().is_some(),
            Some(prices) => producer::feed(prices).is_some(),
        }
    }

    /// The sources that the settings name.
    ///
    /// # Errors
    /// For a source that there is none of, a live one without its key, and a mixture.
    pub fn sources(&self) -> anyhow::Result<Sources> {
        Ok(Sources { prices: self.price_source()?, news: self.news_source()? })
    }

    /// The run that the settings name: `live`, `simulated` or `replayed/HASH`. No key
    /// is needed to know it.
    ///
    /// # Errors
    /// For a source that there is none of, and when a replayed file cannot be read.
    pub fn run_name(&self) -> anyhow::Result<String> {
        match self.kind()? {
            Kind::Live => Ok(LIVE.to_owned()),
            Kind::Simulated | Kind::Replayed => run_name(&self.sources()?),
        }
    }

    /// Whether the key of any live feed is there.
    pub fn has_live_key(&self) -> bool {
        self.feed_with_key().is_some()
    }

    /// The first feed whose key is there.
    fn feed_with_key(&self) -> Option<&(&'static dyn FeedKind, FeedSettings)> {
        self.feeds.iter().find(|(_, settings)| !settings.api_key.is_empty())
    }

    /// The classes whose bars the run has: what nobody brings has no topics and no jobs.
    ///
    /// # Errors
    /// For a source that there is none of, and when a replayed file cannot be read.
    pub fn classes(&self) -> anyhow::Result<Vec<AssetClass>> {
        Ok(vec![match self.kind()? {
            Kind::Live | Kind::Simulated => AssetClass::Stocks,
            Kind::Replayed => files::class_of(Path::new(self.replayed_file()))?,
        }])
    }

    /// The live feed that the settings name, else the first one whose key is there, with how
    /// it is asked.
    ///
    /// # Errors
    /// When there is no key for it.
    pub fn live_feed(&self) -> anyhow::Result<(&'static dyn FeedKind, FeedSettings)> {
        let named = self
            .prices
            .as_deref()
            .and_then(|prices| self.feeds.iter().find(|(feed, _)| feed.description().name == prices));
        let (feed, settings) = named
            .or_else(|| self.feed_with_key())
            .or(self.feeds.first())
            .context("this program has no live feed")?;
        let FeedDescription { title, key, .. } = feed.description();
        if let Some(key) = key.as_ref().filter(|_| settings.api_key.is_empty()) {
            let variable = key.variable;
            bail!("there is no key for {title}: set {variable}, or {variable}_FILE to a file that holds it");
        }
        Ok((*feed, settings.clone()))
    }

    /// How the Guardian is asked.
    ///
    /// # Errors
    /// When there is no key.
    pub fn guardian_config(&self) -> anyhow::Result<GuardianConfig> {
        let guardian = &self.guardian;
        let api_key = guardian.api_key.clone().context(
            "there is no key for the Guardian: set GUARDIAN_API_KEY, or GUARDIAN_API_KEY_FILE to a file that holds it",
        )?;
        Ok(GuardianConfig {
            url: guardian.url.to_string(),
            calls_per_day: guardian.calls_per_day,
            calls_per_second: guardian.calls_per_second,
            max_wait: guardian.max_wait,
            sections: guardian.sections.clone(),
            ..GuardianConfig::new(api_key)
        })
    }

    fn kind(&self) -> anyhow::Result<Kind> {
        match self.prices_named() {
            live if producer::feed(live).is_some() => Ok(Kind::Live),
            "simulate" => Ok(Kind::Simulated),
            other if other.starts_with(REPLAY) => Ok(Kind::Replayed),
            other => {
                bail!(
                    "prices are to come from `{other}`: it takes {}, `simulate` or `replay:FILE`",
                    live_names()
                )
            }
        }
    }

    fn replayed_file(&self) -> &str {
        self.prices_named().trim_start_matches(REPLAY)
    }

    fn prices_named(&self) -> &str {
        let live = self.feed_with_key().map(|(feed, _)| feed.description().name);
        self.prices.as_deref().or(live).unwrap_or("simulate")
    }

    /// Where prices come from.
    ///
    /// # Errors
    /// As [`Config::sources`]; the key for news is not needed.
    pub fn price_source(&self) -> anyhow::Result<PriceSource> {
        Ok(match self.kind()? {
            Kind::Live => {
                let named = || format!("prices are to come from `{}`", self.prices_named());
                let (feed, settings) = self.live_feed().with_context(named)?;
                PriceSource::Live { feed, settings }
            }
            Kind::Simulated => PriceSource::Simulate {
                seed: self.seed,
                speed: self.speed,
                today: AssetClass::Stocks.calendar().date_of(model::time::now()),
            },
            Kind::Replayed => PriceSource::Replay { file: self.replayed_file().into(), speed: self.speed },
        })
    }

    /// Where news comes from: of the same kind as the prices, or none.
    ///
    /// # Errors
    /// As [`Config::sources`]; the key for prices is not needed.
    pub fn news_source(&self) -> anyhow::Result<NewsSource> {
        let (kind, own, default) = match self.kind()? {
            Kind::Live if self.guardian.api_key.is_some() => ("live", "guardian", "guardian"),
            Kind::Live => ("live", "guardian", "none"),
            Kind::Replayed => ("replayed", "replay:FILE", "none"),
            Kind::Simulated => ("simulated", "simulate", "simulate"),
        };
        let news = self.news.as_deref().unwrap_or(default);
        match (news, news.strip_prefix(REPLAY)) {
            ("none", _) => Ok(NewsSource::None),
            ("guardian", _) if kind == "live" => {
                Ok(NewsSource::Guardian(self.guardian_config().context("news is to come from `guardian`")?))
            }
            ("simulate", _) if kind == "simulated" => Ok(NewsSource::Simulate { seed: self.seed }),
            (_, Some(file)) if kind == "replayed" => Ok(NewsSource::Replay { file: file.into() }),
            ("guardian" | "simulate", _) | (_, Some(_)) => bail!(
                "news is to come from `{news}` beside {kind} prices: live, replayed and simulated data are never mixed; use `{own}` or `none`"
            ),
            _ => bail!(
                "news is to come from `{news}`: it takes `guardian`, `simulate`, `replay:FILE` or `none`"
            ),
        }
    }
}

/// The values of `prices` that go live, as a list in words.
pub fn live_names() -> String {
    let names = producer::FEEDS.iter().map(|feed| format!("`{}`", feed.description().name));
    names.collect::<Vec<_>>().join(", ")
}

/// The variables of the keys that go live, as a list in words.
pub fn live_keys() -> String {
    let keys = producer::FEEDS.iter().filter_map(|feed| feed.description().key.as_ref());
    keys.map(|key| key.variable).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;
    use std::ffi::OsString;

    fn sources(keys: &[&str], prices: Option<&str>, news: Option<&str>) -> Result<Sources, String> {
        let raw = Raw { prices: prices.map(Into::into), news: news.map(Into::into), ..Raw::default() };
        let environment = |name: &str| keys.contains(&name).then(|| OsString::from("key-4711"));
        raw.check(&environment).and_then(|config| config.sources()).map_err(|error| format!("{error:#}"))
    }

    const POLYGON: &str = "POLYGON_API_KEY";
    const GUARDIAN: &str = "GUARDIAN_API_KEY";

    #[test]
    fn with_a_key_for_prices_a_run_is_live_and_without_it_simulated() {
        assert!(sources(&[POLYGON], None, None).unwrap().are_live());
        assert!(!sources(&[GUARDIAN], None, None).unwrap().are_live());
        assert!(!sources(&[POLYGON], Some("simulate"), None).unwrap().are_live());
        assert!(!sources(&[POLYGON], Some("replay:b.csv"), None).unwrap().are_live());
    }

    #[test]
    fn news_follows_the_kind_of_the_prices() {
        let news = |keys: &[&str], prices, news| sources(keys, prices, news).unwrap().news;
        assert!(matches!(news(&[], None, None), NewsSource::Simulate { .. }));
        assert!(matches!(news(&[GUARDIAN], None, None), NewsSource::Simulate { .. }));
        assert!(matches!(news(&[POLYGON], None, None), NewsSource::None));
        assert!(matches!(news(&[POLYGON, GUARDIAN], None, None), NewsSource::Guardian(_)));
        assert!(matches!(news(&[POLYGON, GUARDIAN], None, Some("none")), NewsSource::None));
        assert!(matches!(news(&[GUARDIAN], Some("replay:b.csv"), None), NewsSource::None));
        let replayed = news(&[], Some("replay:b.csv"), Some("replay:n.csv"));
        assert!(matches!(replayed, NewsSource::Replay { .. }));
    }

    #[test]
    fn live_replayed_and_simulated_data_are_never_mixed() {
        for (prices, news) in [
            ("replay:b.csv", "simulate"),
            ("simulate", "replay:n.csv"),
            ("polygon", "simulate"),
            ("polygon", "replay:n.csv"),
            ("simulate", "guardian"),
            ("replay:b.csv", "guardian"),
        ] {
            let error = sources(&[POLYGON, GUARDIAN], Some(prices), Some(news)).unwrap_err();
            assert!(error.contains("beside") && error.contains("never mixed"), "{error}");
        }
    }

    #[test]
    fn each_service_needs_its_own_key_only_and_none_needs_one_to_know_the_run() {
        let config = |keys: &[&str]| {
            let raw = Raw { prices: Some("polygon".into()), news: Some("guardian".into()), ..Raw::default() };
            raw.check(&|name| keys.contains(&name).then(|| OsString::from("key-4711"))).unwrap()
        };
        assert_eq!(config(&[]).run_name().unwrap(), "live");
        assert!(config(&[POLYGON]).price_source().is_ok() && config(&[POLYGON]).news_source().is_err());
        assert!(config(&[GUARDIAN]).news_source().is_ok() && config(&[GUARDIAN]).price_source().is_err());
    }

    #[test]
    fn a_source_that_there_is_none_of_or_that_lacks_its_key_is_told_with_the_way_on() {
        let error = sources(&[], Some("yahoo"), None).unwrap_err();
        assert!(error.contains("`yahoo`") && error.contains("replay:FILE"), "{error}");
        let error = sources(&[], None, Some("yahoo")).unwrap_err();
        assert!(error.contains("`yahoo`") && error.contains("`none`"), "{error}");
        let error = sources(&[], Some("polygon"), None).unwrap_err();
        assert!(error.contains("set POLYGON_API_KEY"), "{error}");
        let error = sources(&[POLYGON], None, Some("guardian")).unwrap_err();
        assert!(error.contains("set GUARDIAN_API_KEY") && !error.contains("4711"), "{error}");
    }
}
