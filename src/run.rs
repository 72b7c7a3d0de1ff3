//! The run that a command is about: where its log and its store are, and how to
//! be the only one who works on them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use engine::Job;
use log::{Lease, SharedLog};
use model::AssetClass;
use store::SharedStore;

use crate::cli::DataArgs;
use crate::config::{Config, LogKind, StoreKind};
use crate::data_folder::{DataFolder, LIVE};

/// How long Kafka may take to say whether a service runs.
const LEASE_WITHIN: Duration = Duration::from_secs(15);

/// One run.
pub struct Run {
    /// `live`, `simulated` or `replayed/HASH`.
    pub name: String,
    config: Config,
    /// Its folder, where the log is there and not on Kafka.
    pub(crate) folder: Option<DataFolder>,
}

/// What makes this process the only one who works, as long as it is kept.
pub struct ExclusiveLease {
    log: SharedLog,
    _lease: Option<Box<dyn Lease>>,
}

impl ExclusiveLease {
    /// The log to which this process alone appends under the service's name.
    pub fn log(&self) -> SharedLog {
        self.log.clone()
    }
}

impl Run {
    /// The run that is named, else the last one; over Kafka, else that of the settings.
    ///
    /// # Errors
    /// When there is none, with what to do.
    pub fn find(config: &Config, asked: &DataArgs) -> anyhow::Result<Run> {
        let config = with_folder(config, asked);
        if config.log == LogKind::Kafka {
            let name = match &asked.data {
                Some(run) => run.trim_matches('/').to_owned(),
                None => config.run_name()?,
            };
            return Ok(Run { name, config, folder: None });
        }
        let folder = DataFolder::find(&config.data_dir, asked.data.as_deref())?;
        Ok(Run { name: folder.run.clone(), config, folder: Some(folder) })
    }

    /// The live run, made if need be, so that something is there before the first start.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn live(config: &Config, asked: &DataArgs) -> anyhow::Result<Run> {
        let config = with_folder(config, asked);
        let folder = match config.log {
            LogKind::Kafka => None,
            LogKind::Embedded => Some(DataFolder::make(&config.data_dir, LIVE.to_owned())?),
        };
        Ok(Run { name: LIVE.to_owned(), config, folder })
    }

    /// The log, to read beside whoever writes it, and on Kafka to append to as well.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn log_to_read(&self) -> anyhow::Result<SharedLog> {
        match &self.folder {
            Some(folder) => Ok(Arc::new(folder.log_to_read()?)),
            None => Ok(self.config.kafka_log_to_ask(&self.name)?),
        }
    }

    /// The store, to read beside whoever writes it.
    ///
    /// # Errors
    /// When there is none yet, or no token for it.
    pub fn store_to_read(&self) -> anyhow::Result<SharedStore> {
        match (&self.folder, self.config.store) {
            (Some(folder), StoreKind::Embedded) => Ok(Arc::new(folder.store_to_read()?)),
            _ => self.config.store_to_read(&self.name),
        }
    }

    /// How questions about the store are asked of a process of their own.
    ///
    /// # Errors
    /// When there is no token for it.
    pub fn apart(&self) -> anyhow::Result<query::explore::Apart> {
        crate::apart::of(&self.config, &self.name)
    }

    /// The store, to write; with its folder, where it is to be owned.
    ///
    /// # Errors
    /// When it cannot be opened, or another process owns it.
    pub fn store_to_write(&self) -> anyhow::Result<(SharedStore, Option<DataFolder>)> {
        match (&self.folder, self.config.store) {
            (Some(folder), StoreKind::Embedded) => Ok((folder.store()?, None)),
            _ => self.config.store_to_write(&self.name),
        }
    }

    /// The jobs that it may run: what of them has no bars yields nothing.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn jobs(&self) -> anyhow::Result<Vec<Job>> {
        self.config.jobs(&AssetClass::ALL)
    }

    /// Waits until no `service` works beside this process. In a data folder its owner is alone.
    ///
    /// # Errors
    /// When one works.
    pub async fn alone(&self, log: &SharedLog, service: &str) -> anyhow::Result<ExclusiveLease> {
        if self.folder.is_some() {
            return Ok(ExclusiveLease { log: log.clone(), _lease: None });
        }
        let lease = tokio::time::timeout(LEASE_WITHIN, log.lease(service)).await.ok().with_context(|| {
            format!(
                "a {service} works on the run `{}`: stop it, run this command, and start it again",
                self.name
            )
        })?;
        let lease = lease?;
        Ok(ExclusiveLease { log: lease.log().unwrap_or_else(|| log.clone()), _lease: Some(lease) })
    }
}

fn with_folder(config: &Config, asked: &DataArgs) -> Config {
    let data_dir = asked.data_dir.clone().unwrap_or_else(|| config.data_dir.clone());
    Config { data_dir, ..config.clone() }
}
