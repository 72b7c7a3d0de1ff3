//! The data folder: one folder a kind of run, each with its log and its store,
//! and owned by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use log::EmbeddedLog;
use net::Secret;
use news_watcher::NewsSource;
use producer::PriceSource;
use store::EmbeddedStore;

use crate::config::Sources;
use crate::private_file::{self, Readers};

/// The format of the folder; a higher one is refused.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";
const LAST_RUN: &str = "last-run";
/// Holds the address of the owner's page and API while it runs.
const OWNER: &str = "owner";
/// Locked while it runs.
const LOCK: &str = "lock";
/// Holds what commands show to the owner's API; nobody but its user may read it.
const OWNER_TOKEN: &str = "owner-token";
/// The run of live sources.
pub const LIVE: &str = "live";
/// The run of simulated sources.
pub const SIMULATED: &str = "simulated";

/// The data of one run.
pub struct DataFolder {
    /// `live`, `simulated`, or `replayed/HASH`.
    pub run: String,
    path: PathBuf,
    /// Held as long as this process owns the folder.
    lock: Option<File>,
}

/// Tells commands where the owner answers, as long as it is kept.
pub struct OwnerFiles([PathBuf; 2]);

impl Drop for OwnerFiles {
    fn drop(&mut self) {
        // One that stays behind is told from a running owner's by the lock.
        for file in &self.0 {
            let _ = fs::remove_file(file);
        }
    }
}

impl DataFolder {
    /// The folder of the run that `sources` describe, made if need be, owned by
    /// this process, and remembered as the last one run.
    ///
    /// # Errors
    /// When it cannot be made or written, belongs to a later version, or
    /// another process owns it.
    pub fn own(root: &Path, sources: &Sources) -> anyhow::Result<DataFolder> {
        let folder = DataFolder::make(root, run_name(sources)?)?;
        let lock = lock_soon(&folder.path)?.ok_or_else(|| {
            let owner = fs::read_to_string(folder.path.join(LOCK)).unwrap_or_default();
            anyhow::anyhow!(
                "another tickwire (process {}) runs on {}: stop it, or name another folder with --data-dir. Commands such as `tickwire export` work beside it",
                owner.trim(),
                folder.path.display()
            )
        })?;
        let _ = fs::remove_file(folder.path.join(OWNER));
        write_whole(&root.join(LAST_RUN), &folder.run)?;
        Ok(DataFolder { lock: Some(lock), ..folder })
    }

    /// The folder of `run`, made if need be, owned by nobody yet.
    ///
    /// # Errors
    /// When it cannot be made or written, or belongs to a later version.
    pub fn make(root: &Path, run: String) -> anyhow::Result<DataFolder> {
        let path = root.join(&run);
        private_file::make_folder(&path, Readers::Owner).with_context(|| unwritable(&path))?;
        check_format(root)?;
        write_whole(&root.join(FORMAT_FILE), &FORMAT.to_string())?;
        Ok(DataFolder { run, path, lock: None })
    }

    /// Owns the folder from now on, unless another process does: returns whether it is ours.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn own_if_free(&mut self) -> anyhow::Result<bool> {
        if self.lock.is_none() {
            self.lock = lock(&self.path)?;
        }
        Ok(self.lock.is_some())
    }

    /// Writes down for commands where this process, the owner, answers, and
    /// what they are to show there.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn tell_address(&self, address: SocketAddr, token: &Secret) -> anyhow::Result<OwnerFiles> {
        let (file, token_file) = (self.path.join(OWNER), self.path.join(OWNER_TOKEN));
        // First, so that whoever finds the address finds it too.
        private_file::write(&token_file, token.expose())?;
        write_whole(&file, &format!("http://{}", local(address)))?;
        Ok(OwnerFiles([file, token_file]))
    }

    /// What the owner's API wants to see.
    ///
    /// # Errors
    /// When the file is there and this user may not read it.
    pub fn owner_token(&self) -> anyhow::Result<Secret> {
        let file = self.path.join(OWNER_TOKEN);
        match fs::read_to_string(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(|| {
                format!(
                    "{} cannot be read: run the command as the user that runs `tickwire up`",
                    file.display()
                )
            }),
            text => Ok(Secret::new(text.unwrap_or_default())),
        }
    }

    /// Where the owner answers, if it has written it down.
    pub fn owner_address(&self) -> Option<String> {
        fs::read_to_string(self.path.join(OWNER)).ok().map(|address| address.trim().to_owned())
    }

    /// Whether anything was stored.
    pub fn has_store(&self) -> bool {
        self.path.join("store.db").is_file()
    }

    /// The folder of `run`, in which something was stored.
    ///
    /// # Errors
    /// When nothing was, with what to do.
    pub fn with_store(root: &Path, run: &str) -> anyhow::Result<DataFolder> {
        check_format(root)?;
        let folder = DataFolder { run: run.to_owned(), path: root.join(run), lock: None };
        if run.split('/').any(|part| part == "..") || !folder.has_store() {
            bail!(
                "there is no store of the run `{run}` under {}: with store = \"embedded\" the sink keeps it there, so start the sink first, on this machine; or set store = \"influxdb\", which all machines reach",
                root.display()
            );
        }
        Ok(folder)
    }

    /// The folder of a run that was there before: `run`, else the last one.
    ///
    /// # Errors
    /// When there is none, with what to do.
    pub fn find(root: &Path, asked: Option<&str>) -> anyhow::Result<DataFolder> {
        check_format(root)?;
        let run = match asked {
            Some(run) => run.trim_matches('/').to_owned(),
            None => last_run(root)?,
        };
        let path = root.join(&run);
        if run.split('/').any(|part| part == "..") || !path.join("log.db").is_file() {
            let there = match runs(root) {
                runs if runs.is_empty() => "none yet".to_owned(),
                runs => runs.join(", "),
            };
            bail!("there is no run `{run}` under {}; there are: {there}", root.display());
        }
        if asked.is_none() && !is_owned(&path) {
            for running in runs(root).iter().filter(|other| is_owned(&root.join(other))) {
                eprintln!(
                    "tickwire: this is of `{run}`, the last run begun; `{running}` is running: --data {running} reads that"
                );
            }
        }
        Ok(DataFolder { run, path, lock: None })
    }

    /// The log, for the owner.
    pub fn log(&self) -> anyhow::Result<Arc<EmbeddedLog>> {
        Ok(Arc::new(self.of_this_run(EmbeddedLog::open(&self.path.join("log.db"), 1)?)))
    }

    /// The store, for the owner.
    pub fn store(&self) -> anyhow::Result<Arc<EmbeddedStore>> {
        Ok(Arc::new(EmbeddedStore::open(&self.path.join("store.db"))?))
    }

    /// The log, to read beside its owner.
    pub fn log_to_read(&self) -> anyhow::Result<EmbeddedLog> {
        Ok(self.of_this_run(EmbeddedLog::open_to_read(&self.path.join("log.db"))?))
    }

    fn of_this_run(&self, log: EmbeddedLog) -> EmbeddedLog {
        if self.run == LIVE { log.of_live_data() } else { log }
    }

    /// The store, to read beside its owner.
    pub fn store_to_read(&self) -> anyhow::Result<EmbeddedStore> {
        Ok(EmbeddedStore::open_to_read(&self.path.join("store.db"))?)
    }
}

/// The name of a run: replays are told apart by what their files hold, so that
/// a changed file starts afresh and the same one goes on.
///
/// # Errors
/// When a replayed file cannot be read.
pub fn run_name(sources: &Sources) -> anyhow::Result<String> {
    let file = match &sources.prices {
        PriceSource::Live { .. } => return Ok(LIVE.to_owned()),
        PriceSource::Simulate { .. } => return Ok(SIMULATED.to_owned()),
        PriceSource::Replay { file, .. } => file,
    };
    let mut hash = blake3::Hasher::new();
    add_file(&mut hash, file)?;
    if let NewsSource::Replay { file } = &sources.news {
        add_file(&mut hash, file)?;
    }
    Ok(format!("replayed/{}", &hash.finalize().to_hex()[..16]))
}

fn add_file(hash: &mut blake3::Hasher, file: &Path) -> anyhow::Result<()> {
    for part in files::parts(file)? {
        let open = File::open(&part)
            .with_context(|| format!("{} cannot be read: check the path after `replay:`", part.display()))?;
        hash.update_reader(open).with_context(|| format!("{} cannot be read to its end", part.display()))?;
        // Keeps two files apart from one that holds both.
        hash.update(b"\0");
    }
    Ok(())
}

/// The address under which a process of this machine reaches `listen`.
fn local(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The lock, even if a command holds it for its change just now.
fn lock_soon(path: &Path) -> anyhow::Result<Option<File>> {
    const TRIES: usize = 20;
    const PAUSE: Duration = Duration::from_millis(50);
    for _ in 0..TRIES {
        match lock(path)? {
            None if !path.join(OWNER).exists() => std::thread::sleep(PAUSE),
            outcome => return Ok(outcome),
        }
    }
    lock(path)
}

/// Whether a process owns a run's folder; one that was killed leaves its address behind.
fn is_owned(path: &Path) -> bool {
    let is_held = |lock: File| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock));
    path.join(OWNER).exists() && File::open(path.join(LOCK)).is_ok_and(is_held)
}

/// The lock of a run's folder, unless another process holds it.
fn lock(path: &Path) -> anyhow::Result<Option<File>> {
    let file = path.join(LOCK);
    let mut lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&file)
        .with_context(|| unwritable(path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| unwritable(path)),
    }
    lock.set_len(0)
        .and_then(|()| write!(lock, "{}", std::process::id()))
        .with_context(|| unwritable(path))?;
    Ok(Some(lock))
}

/// Refuses a folder that a later version wrote.
pub fn check_format(root: &Path) -> anyhow::Result<()> {
    let Ok(found) = fs::read_to_string(root.join(FORMAT_FILE)) else { return Ok(()) };
    match found.trim().parse::<u32>() {
        Ok(found) if found <= FORMAT => Ok(()),
        _ => bail!(
            "the data folder {} has format {}, this tickwire reads up to {FORMAT}: run the newer tickwire that wrote it, or name another folder with --data-dir",
            root.display(),
            found.trim()
        ),
    }
}

/// Writes a small file so that a reader sees the old or the new one, never half of it.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, format!("{text}\n"))
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| unwritable(path))
}

fn unwritable(path: &Path) -> String {
    format!(
        "{} cannot be written: check its owner, its rights and the room on its disk, or name another folder with --data-dir",
        path.display()
    )
}

/// The run begun last; where none was, the only one that there is.
fn last_run(root: &Path) -> anyhow::Result<String> {
    if let Ok(run) = fs::read_to_string(root.join(LAST_RUN)) {
        return Ok(run.trim().to_owned());
    }
    match runs(root).as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!(
            "there is no data under {}: run `tickwire up` first, or name another folder with --data-dir",
            root.display()
        ),
        several => bail!("{} holds {}: name one with --data", root.display(), several.join(", ")),
    }
}

/// The runs that have data, by name.
pub fn runs(root: &Path) -> Vec<String> {
    let holds_log = |run: &String| root.join(run).join("log.db").is_file();
    let replayed = fs::read_dir(root.join("replayed")).into_iter().flatten().flatten();
    let mut runs: Vec<_> = [LIVE.to_owned(), SIMULATED.to_owned()]
        .into_iter()
        .chain(replayed.map(|entry| format!("replayed/{}", entry.file_name().to_string_lossy())))
        .filter(holds_log)
        .collect();
    runs.sort();
    runs
}
