//! `tickwire backup` and `tickwire restore`: the data folder, copied whole.
//!
//! A backup is a data folder itself. Of each run the store is copied before the
//! log: a log that is ahead of its store fills it again.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use log::sqlite;

use crate::cli::{BackupArgs, RestoreArgs};
use crate::config::Config;
use crate::data_folder::{self, DataFolder};
use crate::private_file::{self, Readers};

/// The files of a run, in the order in which they are copied.
const OF_A_RUN: [&str; 2] = ["store.db", "log.db"];
/// What stands beside the runs; the last three are their user's alone.
const BESIDE: [&str; 5] = ["format", "last-run", "password", "people", "api-tokens"];

/// Copies every run of the data folder, and what stands beside them.
pub fn backup(config: &Config, args: &BackupArgs) -> anyhow::Result<()> {
    let root = args.data_dir.as_deref().unwrap_or(&config.data_dir);
    let runs = data_folder::runs(root);
    if runs.is_empty() {
        bail!("there is no data under {}: name another folder with --data-dir", root.display());
    }
    data_folder::check_format(root)?;
    // Without a slash at its end.
    let to: PathBuf = args.to.components().collect();
    if to.exists() {
        bail!("{} is there already: a backup is made into a new folder", to.display());
    }
    if lies_in(&to, root) {
        bail!(
            "{} lies in the data folder itself, and would be lost with it: name a folder elsewhere",
            to.display()
        );
    }
    // Under its name only once it is whole.
    let unfinished = Unfinished::folder(with_suffix(&to, ".new"))?;
    for run in &runs {
        private_file::make_folder(&unfinished.0.join(run), Readers::Owner)?;
        for file in OF_A_RUN.map(|name| Path::new(run).join(name)) {
            copy(&root.join(&file), &unfinished.0.join(&file))?;
        }
    }
    copy_beside(root, &unfinished.0)?;
    if data_folder::runs(&unfinished.0) != runs {
        bail!("{} changed while it was copied: try again", root.display());
    }
    fs::rename(&unfinished.0, &to).with_context(|| unwritable(&to))?;
    say!("{} holds {}.", to.display(), runs.join(", "))?;
    Ok(())
}

/// Puts every run of a backup into the data folder, unless it has data of one of them.
pub fn restore(config: &Config, args: &RestoreArgs) -> anyhow::Result<()> {
    let root = args.data_dir.as_deref().unwrap_or(&config.data_dir);
    if !args.from.is_dir() {
        bail!("{} is not there: name the folder that `tickwire backup` made", args.from.display());
    }
    let runs = data_folder::runs(&args.from);
    if runs.is_empty() {
        bail!("{} is no backup: it holds no run", args.from.display());
    }
    if let Some(run) = data_folder::runs(root).iter().find(|run| runs.contains(run)) {
        bail!(
            "there is data of `{run}` under {} already: move it away, or name another folder with --data-dir",
            root.display()
        );
    }
    data_folder::check_format(&args.from)?;
    let mut copies = Vec::new();
    for run in &runs {
        let mut folder = DataFolder::make(root, run.clone())?;
        if !folder.own_if_free()? {
            bail!("a tickwire runs on the data of `{run}` under {}: stop it", root.display());
        }
        let unfinished = Unfinished::folder(root.join(run).join("restored"))?;
        for name in OF_A_RUN {
            copy(&args.from.join(run).join(name), &unfinished.0.join(name))?;
        }
        copies.push((folder, unfinished));
    }
    // To their places only once all of them are whole.
    for (run, (_folder, unfinished)) in runs.iter().zip(&copies) {
        for name in OF_A_RUN.iter().filter(|name| unfinished.0.join(name).exists()) {
            let to = root.join(run).join(name);
            fs::rename(unfinished.0.join(name), &to).with_context(|| unwritable(&to))?;
        }
    }
    copy_beside(&args.from, root)?;
    say!("{} holds {} again.", root.display(), runs.join(", "))?;
    Ok(())
}

/// A folder that is removed where the work on it fails, and not once it was renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    /// A new one: whatever is there already may be somebody's.
    fn folder(path: PathBuf) -> anyhow::Result<Unfinished> {
        if path.exists() {
            bail!(
                "{} is in the way: remove it, if it is what a try that was killed has left",
                path.display()
            );
        }
        private_file::make_folder(&path, Readers::Owner)?;
        Ok(Unfinished(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Where nothing is left there is nothing to do, and the error that led here is the one to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a folder to be made lies within another.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|above| above.canonicalize().ok());
    there.zip(folder.canonicalize().ok()).is_some_and(|(there, folder)| there.starts_with(folder))
}

/// Copies a file of a run, if it is there, and looks whether the copy is whole.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_file() {
        return Ok(());
    }
    let not_whole = || {
        format!(
            "{} is not whole: use an earlier backup; of a store.db the log makes what it still holds again, once the file is moved away",
            from.display()
        )
    };
    sqlite::copy(from, to)
        .with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    let faults = sqlite::faults(to).with_context(not_whole)?;
    match faults.first() {
        Some(fault) => Err(anyhow::anyhow!(fault.clone()).context(not_whole())),
        None => Ok(()),
    }
}

/// Copies the small files, where they are there and not yet at their place.
fn copy_beside(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in BESIDE {
        if let Ok(text) = fs::read_to_string(from.join(name))
            && !to.join(name).exists()
        {
            private_file::write(&to.join(name), &text)?;
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written: check its owner, its rights and the room on its disk", path.display())
}
