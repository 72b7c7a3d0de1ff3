//! The data folder: writable, with room, and its logs and stores readable.

use std::fs;
use std::path::Path;

use control::watchlist;
use log::Log;
use log::sqlite;
use store::Store;

use super::Finding;
use crate::config::Config;
use crate::data_folder::{self, DataFolder, LIVE};

const FOLDER: &str = "data folder";
const ROOM: &str = "disk";
const RUN: &str = "data";
const WATCHLIST: &str = "watchlist";

/// With less room than this, a day of a whole market does not fit.
const LITTLE_ROOM: u64 = 2 << 30;
/// With less, writing is about to fail.
const NO_ROOM: u64 = 200 << 20;

/// Checks the folder as a whole, each run in it, and the live watchlist.
pub async fn check(root: &Path, config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::of(FOLDER, writable(root))];
    findings.extend(room(root));
    for run in data_folder::runs(root) {
        findings.push(Finding::of(RUN, open(root, &run).await));
    }
    findings.extend(watched(root, config).await);
    findings
}

/// Tries it where the folder is, or where it would be made.
fn writable(root: &Path) -> Result<String, String> {
    let there = existing(root);
    let probe = there.join(format!(".tickwire-doctor-{}", std::process::id()));
    fs::write(&probe, b"doctor").and_then(|()| fs::remove_file(&probe)).map_err(|error| {
        format!(
            "{} cannot be written ({error}): check its owner and its rights, or name another folder with data_dir or --data-dir",
            there.display()
        )
    })?;
    match there == root {
        true => Ok(format!("{} can be written", root.display())),
        false => Ok(format!("{} will be made at the first start", root.display())),
    }
}

/// The folder itself, or the nearest one above it that exists.
fn existing(root: &Path) -> &Path {
    let above = root.ancestors().find(|path| path.is_dir());
    above.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn room(root: &Path) -> Option<Finding> {
    let disk = rustix::fs::statvfs(existing(root)).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let said = format!("{:.1} GB free", free as f64 / 1e9);
    Some(match free {
        0..NO_ROOM => {
            Finding::wrong(ROOM, format!("{said}: make room, or name a folder on another disk with data_dir"))
        }
        NO_ROOM..LITTLE_ROOM => {
            Finding::open(ROOM, format!("{said}: enough for some symbols, too little for a whole market"))
        }
        _ => Finding::good(ROOM, said),
    })
}

#[cfg(not(unix))]
fn room(_root: &Path) -> Option<Finding> {
    None
}

/// Opens log and store of a run, to read.
async fn open(root: &Path, run: &str) -> Result<String, String> {
    let told = |error: &dyn std::fmt::Display| format!("`{run}`: {error}");
    let folder = DataFolder::find(root, Some(run)).map_err(|error| told(&format!("{error:#}")))?;
    for file in ["log.db", "store.db"].map(|name| root.join(run).join(name)) {
        whole(&file).map_err(|error| told(&error))?;
    }
    let log = folder.log_to_read().map_err(|error| told(&format!("{error:#}")))?;
    let topics = log.topics().await.map_err(|error| told(&error))?.len();
    // The store is made after the log: where it is missing, nothing was stored yet.
    if !folder.has_store() {
        return Ok(format!("`{run}`: the log opens ({topics} topics), nothing is stored yet"));
    }
    let store = folder.store_to_read().map_err(|error| told(&format!("{error:#}")))?;
    let measurements = store.measurements().await.map_err(|error| told(&error))?.len();
    Ok(format!("`{run}`: log ({topics} topics) and store ({measurements} measurements) open"))
}

/// Whether nothing in a file was torn or overwritten.
fn whole(file: &Path) -> Result<(), String> {
    if !file.is_file() {
        return Ok(());
    }
    let fault = match sqlite::faults(file) {
        Ok(faults) => faults.into_iter().next(),
        // Where SQLite cannot go on looking, that is the fault.
        Err(error) => Some(error.to_string()),
    };
    match fault {
        Some(fault) => Err(format!("{} is not whole ({fault}): {}", file.display(), sqlite::REMEDY)),
        None => Ok(()),
    }
}

/// Whether a live run has anything to watch.
async fn watched(root: &Path, config: &Config) -> Option<Finding> {
    if !config.is_live() {
        return None;
    }
    let list = match DataFolder::find(root, Some(LIVE)).and_then(|folder| folder.log_to_read()) {
        Ok(log) => watchlist::read(&log).await.ok()?,
        Err(_) => watchlist::Watchlist::default(),
    };
    Some(match list.entries.len() {
        0 => Finding::open(
            WATCHLIST,
            "nothing is watched: `tickwire watch add AAPL --term apple` adds a symbol with its news",
        ),
        1 => Finding::good(WATCHLIST, "one entry"),
        entries => Finding::good(WATCHLIST, format!("{entries} entries")),
    })
}
