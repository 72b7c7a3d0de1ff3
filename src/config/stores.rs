//! The settings of the store, checked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use net::Secret;
use store::{InfluxAddress, InfluxStore, SharedStore};
use url::Url;

use super::Config;
use super::live::address;
use super::raw;
use super::secret::{Environment, Place};
use crate::data_folder::{DataFolder, LIVE};

const URL: &str = "http://localhost:8086";
const ORG: &str = "tickwire";
const BUCKET: &str = "events";

/// Where points are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// In the data folder.
    Embedded,
    /// On a server of its own.
    Influxdb,
}

/// The store on InfluxDB.
#[derive(Clone, Debug)]
pub struct Influxdb {
    pub url: Url,
    pub org: String,
    pub bucket: String,
    pub token: Option<Secret>,
    /// How long points stay; `None` is for ever.
    pub retention: Option<Duration>,
}

/// Which kind of store is asked for.
pub fn kind(typed: Option<&str>) -> anyhow::Result<StoreKind> {
    match typed {
        None | Some("embedded") => Ok(StoreKind::Embedded),
        Some("influxdb") => Ok(StoreKind::Influxdb),
        Some(other) => bail!("store is `{other}`: it takes `embedded` or `influxdb`"),
    }
}

/// Where the token of the store may stand.
pub fn influxdb_token(raw: &raw::Influxdb) -> Place<'_> {
    let (typed, file) = (raw.token.as_ref().map(|typed| &typed.0), raw.token_file.as_deref());
    Place { key: "influxdb.token", common: "INFLUXDB_TOKEN", typed, file }
}

impl raw::Influxdb {
    /// Checks every value, and fills in what is missing.
    pub fn check(self, environment: Environment<'_>) -> anyhow::Result<Influxdb> {
        let token = influxdb_token(&self).find(environment)?;
        let retention = match self.retention {
            Some(0) => {
                bail!("influxdb.retention is 0: it takes whole days; leave it out to keep points for ever")
            }
            days => days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        };
        Ok(Influxdb {
            url: address("influxdb.url", self.url.as_deref(), URL, &["https", "http"])?,
            org: named("influxdb.org", self.org, ORG)?,
            bucket: named("influxdb.bucket", self.bucket, BUCKET)?,
            token,
            retention,
        })
    }
}

fn named(key: &str, typed: Option<String>, default: &str) -> anyhow::Result<String> {
    let name = typed.unwrap_or_else(|| default.to_owned());
    if name.trim().is_empty()
        || name.starts_with('_')
        || name.contains('"')
        || name.chars().any(char::is_control)
    {
        bail!("{key} is `{name}`: it takes a name as `{default}`, which does not begin with _");
    }
    Ok(name)
}

impl Influxdb {
    /// The bucket of a run: live data has the one that is named, every other kind of
    /// run one beside it, so that they are never mixed.
    pub fn bucket_of(&self, run: &str) -> String {
        match run {
            LIVE => self.bucket.clone(),
            run => format!("{}_{}", self.bucket, run.replace('/', "_")),
        }
    }
}

impl Config {
    /// Where the store on InfluxDB is for a run: `live`, `simulated` or `replayed/HASH`.
    ///
    /// # Errors
    /// When there is no token.
    pub fn influx_address(&self, run: &str) -> anyhow::Result<InfluxAddress> {
        let token = self.influxdb.token.clone().context(
            "there is no token for InfluxDB: set INFLUXDB_TOKEN, or INFLUXDB_TOKEN_FILE to a file that holds it; `tickwire init` makes one",
        )?;
        let Influxdb { url, org, .. } = self.influxdb.clone();
        Ok(InfluxAddress { url, org, bucket: self.influxdb.bucket_of(run), token })
    }

    /// The store on InfluxDB for a run.
    ///
    /// # Errors
    /// When there is no token.
    pub fn influx_store(&self, run: &str) -> anyhow::Result<Arc<InfluxStore>> {
        Ok(Arc::new(InfluxStore::new(self.influx_address(run)?)?))
    }

    /// The store of a run, to read beside whoever writes it.
    ///
    /// # Errors
    /// When there is none yet, or no token for it.
    pub fn store_to_read(&self, run: &str) -> anyhow::Result<SharedStore> {
        match self.store {
            StoreKind::Influxdb => Ok(self.influx_store(run)?),
            StoreKind::Embedded => {
                let folder = DataFolder::with_store(&self.data_dir, run)?;
                Ok(Arc::new(folder.store_to_read()?))
            }
        }
    }

    /// The store of a run, to write, with its folder where it is to be owned: that
    /// is kept for as long as there is something to write.
    ///
    /// # Errors
    /// When another process owns it, it cannot be opened, or there is no token for it.
    pub fn store_to_write(&self, run: &str) -> anyhow::Result<(SharedStore, Option<DataFolder>)> {
        if self.store == StoreKind::Influxdb {
            return Ok((self.influx_store(run)?, None));
        }
        let mut folder = DataFolder::make(&self.data_dir, run.to_owned())?;
        if !folder.own_if_free()? {
            bail!(
                "another tickwire owns the store of `{run}` under {}: stop it, name another folder with data_dir, or set store = \"influxdb\"",
                self.data_dir.display()
            );
        }
        Ok((folder.store()?, Some(folder)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn influxdb(raw: raw::Influxdb) -> Result<Influxdb, String> {
        raw.check(&|_| None).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn every_kind_of_run_has_a_bucket_of_its_own() {
        let influxdb = influxdb(raw::Influxdb::default()).unwrap();
        assert_eq!(influxdb.bucket_of("live"), "events");
        assert_eq!(influxdb.bucket_of("simulated"), "events_simulated");
        assert_eq!(influxdb.bucket_of("replayed/00ff"), "events_replayed_00ff");
        assert_eq!(influxdb.retention, None);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_key() {
        assert!(kind(Some("influx")).unwrap_err().to_string().contains("store is `influx`"));
        for (raw, said) in [
            (raw::Influxdb { url: Some("localhost:8086".into()), ..Default::default() }, "influxdb.url"),
            (
                raw::Influxdb { bucket: Some("_monitoring".into()), ..Default::default() },
                "influxdb.bucket is",
            ),
            (raw::Influxdb { org: Some(" ".into()), ..Default::default() }, "influxdb.org is"),
            (raw::Influxdb { retention: Some(0), ..Default::default() }, "influxdb.retention is 0"),
        ] {
            let error = influxdb(raw).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
