//! Questions in SQL in processes of their own: where such a process finds the store,
//! and how this program is started as one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use net::Secret;
use query::explore::Apart;
use serde::{Deserialize, Serialize};
use store::{EmbeddedStore, InfluxAddress, InfluxStore, SharedStore};

use crate::config::{Config, StoreKind};

/// The subcommand that answers one question.
const ANSWER: &str = "answer";

/// Where a store is. It is written to a pipe only: the token must not be seen by
/// whoever lists processes.
#[derive(Serialize, Deserialize)]
enum Place {
    Embedded { path: PathBuf },
    Influxdb { url: String, org: String, bucket: String, token: String },
}

/// How questions about the store of `run` are asked.
///
/// # Errors
/// When there is no token for it, or this program does not find itself.
pub fn of(config: &Config, run: &str) -> anyhow::Result<Apart> {
    let place = match config.store {
        StoreKind::Embedded => {
            let path = config.data_dir.join(run).join("store.db");
            let path = std::path::absolute(&path).with_context(|| path.display().to_string())?;
            Place::Embedded { path }
        }
        StoreKind::Influxdb => {
            let InfluxAddress { url, org, bucket, token } = config.influx_address(run)?;
            Place::Influxdb { url: url.into(), org, bucket, token: token.expose().to_owned() }
        }
    };
    Ok(Apart {
        program: program()?,
        arguments: vec![ANSWER.into()],
        store: serde_json::to_string(&place).context("the place of the store cannot be written")?,
    })
}

/// The store at a place, as [`of`] wrote it.
///
/// # Errors
/// When it cannot be opened.
pub fn open(place: &str) -> anyhow::Result<SharedStore> {
    // What cannot be read is not repeated: it may hold a token.
    let place =
        serde_json::from_str(place).map_err(|_| anyhow::anyhow!("the place of the store is no place"))?;
    Ok(match place {
        Place::Embedded { path } => Arc::new(EmbeddedStore::open_to_read(&path)?),
        Place::Influxdb { url, org, bucket, token } => {
            let url = url.parse().context("the address of the store is none")?;
            Arc::new(InfluxStore::new(InfluxAddress { url, org, bucket, token: Secret::new(token) })?)
        }
    })
}

/// This program. Linux finds it by itself, also where another version has taken its
/// place on the disk since it was started.
fn program() -> anyhow::Result<PathBuf> {
    let itself = Path::new("/proc/self/exe");
    match cfg!(target_os = "linux") && itself.exists() {
        true => Ok(itself.to_owned()),
        false => std::env::current_exe().context("this program does not find itself to answer a question"),
    }
}
