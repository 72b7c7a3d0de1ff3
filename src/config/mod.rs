//! Settings: raw as the user typed them, and checked.

mod alerts;
mod arroyo;
mod checked;
mod kafka;
mod keys;
mod live;
mod raw;
mod secret;
mod sources;
mod stores;
mod web;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::bail;
use figment::providers::{Env, Format, Toml};
use figment::value::{Dict, Map};
use figment::{Error, Figment, Metadata, Profile, Provider};

pub use checked::Config;
pub use kafka::{LogKind, suffix as topic_suffix};
pub use raw::Raw;
pub use sources::{Sources, live_keys, live_names};
pub use stores::{Influxdb, StoreKind};

/// The settings file that is read from the working directory when it is there.
const FILE: &str = "tickwire.toml";

/// What the names of all variables begin with.
const PREFIX: &str = "TICKWIRE_";

/// Reads the settings: a file, overridden by `TICKWIRE_…` variables (two
/// underscores for a dot). Flags come on top, in each command.
///
/// # Errors
/// Names the file or variable, the key, and what is wrong with it.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    typed(&settings(file))?.check(&|name| std::env::var_os(name))
}

/// The address at which health and metrics are told, whatever else is wrong with
/// the settings: it is where that is to be seen.
///
/// # Errors
/// When the settings cannot be read at all.
pub fn metrics_address(file: Option<&Path>) -> anyhow::Result<Option<SocketAddr>> {
    typed(&settings(file))?.metrics.listening()
}

fn settings(file: Option<&Path>) -> Figment {
    let settings = match file {
        Some(file) => Figment::from(Toml::file_exact(file)),
        None => Figment::from(Toml::file(FILE)),
    };
    let mut elsewhere = empty_variables();
    for feed in producer::FEEDS {
        let name = feed.description().name;
        elsewhere.extend([format!("{name}__api_key"), format!("{name}__api_key_file")]);
    }
    let not_here: Vec<_> = NOT_HERE.into_iter().chain(elsewhere.iter().map(String::as_str)).collect();
    settings.merge(Env::prefixed(PREFIX).ignore(&not_here).split("__"))
}

fn above_zero(key: &str, typed: Option<u32>, default: u32) -> anyhow::Result<u32> {
    match typed {
        Some(0) => bail!("{key} is 0: it takes a whole number above"),
        typed => Ok(typed.unwrap_or(default)),
    }
}

/// The variables that are set to nothing, which is as good as not set.
fn empty_variables() -> Vec<String> {
    let empty = std::env::vars_os().filter(|(_, value)| value.is_empty());
    empty.filter_map(|(name, _)| name.to_str()?.strip_prefix(PREFIX).map(str::to_lowercase)).collect()
}

/// The settings as they were typed.
fn typed(settings: &Figment) -> anyhow::Result<Raw> {
    let unreadable = |error: Error| {
        anyhow::anyhow!("{}", without_source(&error.to_string()))
            .context("the settings cannot be read; docs/configuration.md lists every key")
    };
    let mut raw: Raw = Figment::from(WithoutFeeds(settings)).extract().map_err(unreadable)?;
    for feed in producer::FEEDS {
        let name = feed.description().name;
        if settings.contains(name) {
            raw.feeds.insert(name, settings.extract_inner(name).map_err(unreadable)?);
        }
    }
    Ok(raw)
}

/// The settings without the sections of the live feeds, which are read by themselves: the
/// registry knows their names, and no list here does.
struct WithoutFeeds<'a>(&'a Figment);

impl Provider for WithoutFeeds<'_> {
    fn metadata(&self) -> Metadata {
        Provider::metadata(self.0)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut data = Provider::data(self.0)?;
        for section in data.values_mut() {
            section.retain(|key, _| producer::feed(key).is_none());
        }
        Ok(data)
    }

    fn profile(&self) -> Option<Profile> {
        Provider::profile(self.0)
    }

    // Errors name the file or the variable by it.
    fn __metadata_map(&self) -> Option<Map<figment::value::Tag, Metadata>> {
        self.0.__metadata_map()
    }
}

/// Variables that are read elsewhere: secrets, which must not show in an error, and the file's name.
const NOT_HERE: [&str; 13] = [
    "config",
    "guardian__api_key",
    "guardian__api_key_file",
    "web__password_hash",
    "web__password_hash_file",
    "influxdb__token",
    "influxdb__token_file",
    "alerts__webhook_secret",
    "alerts__webhook_secret_file",
    "kafka__password",
    "kafka__password_file",
    "arroyo__api_key",
    "arroyo__api_key_file",
];

/// The error without the lines of the file that it quotes, which may hold a key.
fn without_source(error: &str) -> String {
    let quotes = |line: &&str| {
        line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|')
    };
    let lines: Vec<_> =
        error.lines().filter(|line| !quotes(line)).map(str::trim).filter(|line| !line.is_empty()).collect();
    // The reader of settings speaks of a profile and of variables without their prefix.
    let said = lines.join(": ").replace("for key \"default.", "for key \"");
    match said.split_once("in `").and_then(|(before, rest)| Some((before, rest.split_once('`')?))) {
        Some((before, (name, after))) if after.contains("environment variable") => {
            format!("{before}in `{PREFIX}{}`{after}", name.trim_start_matches(PREFIX))
        }
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(file: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, file).unwrap();
        let settings = Figment::from(Toml::file_exact(&path));
        format!("{:#}", typed(&settings).and_then(|raw| raw.check(&|_| None)).unwrap_err())
    }

    /// The keys that are known at a place, which the error about an unknown one lists.
    fn known_keys(section: &str) -> Vec<String> {
        let error = refused(&format!("{section}unknown_key = 1\n"));
        let (_, list) = error.split_once("expected").unwrap();
        let is_key =
            |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        list.split('`').filter(is_key).map(str::to_owned).collect()
    }

    #[test]
    fn every_key_is_documented_with_its_variable() {
        let documented = include_str!("../../docs/configuration.md");
        let sections = [
            "simulation",
            "retention",
            "kafka",
            "arroyo",
            "metrics",
            "web",
            "guardian",
            "influxdb",
            "alerts",
        ];
        let feeds = producer::FEEDS.iter().map(|feed| feed.description().name);
        let sections: Vec<_> = sections.into_iter().chain(feeds).collect();
        let mut keys: Vec<_> =
            known_keys("").into_iter().filter(|key| !sections.contains(&key.as_str())).collect();
        for section in sections {
            keys.extend(known_keys(&format!("[{section}]\n")).iter().map(|key| format!("{section}.{key}")));
        }
        assert!(keys.len() > 20, "{keys:?}");
        for key in keys {
            let variable = format!("TICKWIRE_{}", key.to_uppercase().replace('.', "__"));
            let row = documented.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
            assert!(row.is_some_and(|row| row.contains(&variable)), "{key} is not in docs/configuration.md");
        }
    }

    #[test]
    fn what_a_feed_says_of_itself_is_documented_and_set_in_compose() {
        let documented = include_str!("../../docs/configuration.md");
        let example = include_str!("../../.env.example");
        for feed in producer::FEEDS {
            let feed = feed.description();
            let row = |key: &str| {
                let start = format!("| `{}.{key}` |", feed.name);
                documented.lines().find(|line| line.starts_with(&start)).unwrap_or_default()
            };
            let prices = documented.lines().find(|line| line.starts_with("| `prices` |"));
            assert!(prices.is_some_and(|row| row.contains(&format!("`{}`", feed.name))), "{feed:?}");
            assert!(row("websocket_url").contains(&format!("`{}`", feed.websocket_url)), "{feed:?}");
            assert!(row("rest_url").contains(&format!("`{}`", feed.rest_url)), "{feed:?}");
            for (key, default) in [
                ("settle", feed.settle.as_secs()),
                ("fill_wait", feed.fill_wait.as_secs()),
                ("calls_per_minute", feed.calls_per_minute.into()),
            ] {
                assert!(
                    row(key).contains(&format!("| `{default}` |")),
                    "{}.{key} is not {default}",
                    feed.name
                );
            }
            if let Some(key) = &feed.key {
                assert!(row("api_key").contains(&format!("`{}`", key.variable)), "{feed:?}");
                assert!(example.contains(&format!("{}_FILE", key.variable)), "{feed:?}");
            }
        }
    }

    #[test]
    fn a_mistake_in_the_settings_file_is_named_and_no_key_is_quoted() {
        for (file, said) in [
            ("[polygon]\napi_key = key-4711x\n", "line 2"),
            ("[polygon]\napi_key = 4711\n", "between quotes"),
            ("[polygon]\napi_key = [\"key-4711\"]\n", "between quotes"),
            ("[polygon]\napi_kee = \"key-4711\"\n", "api_kee"),
            ("[polygon]\napi_key = \"key-4711", "line 2"),
            ("[polygon]\napi_key = \"key-4711 k\"\n", "polygon.api_key"),
        ] {
            let error = refused(file);
            assert!(error.contains(said), "{error}");
            assert!(!error.contains("4711"), "{error}");
        }
    }
}
