//! `tickwire backup` and `tickwire restore`: the data folder, copied whole.
//!
//! A backup is a data folder itself. Of each run the store is copied before the
//! log: a log that is ahead of its store fills it again.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use wire::sqlite;

use crate::cli::{BackupArgs, RestoreArgs};
use crate::config::Config;
use crate::data_folder::{self, DataFolder};
use crate::private_file;

/// The files of a run, in the order in which they are copied.
const OF_A_RUN: [&str; 2] = ["store.db", "log.db"];
/// What stands beside the runs; the last two are their user's alone.
const BESIDE: [&str; 4] = ["format", "last-run", "password", "api-tokens"];

/// Copies every run of the data folder, and what stands beside them.
pub fn backup(config: &Config, args: &BackupArgs) -> anyhow::Result<()> {
    let root = args.data_dir.as_deref().unwrap_or(&config.data_dir);
    let runs = data_folder::runs(root);
    if runs.is_empty() {
        bail!("there is no data under {}: name another folder with --data-dir", root.display());
    }
    if args.to.exists() {
        bail!("{} is there already: a backup is made into a new folder", args.to.display());
    }
    // Under its name only once it is whole.
    let unfinished = with_suffix(&args.to, ".new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| unwritable(&unfinished))?;
    }
    for run in &runs {
        fs::create_dir_all(unfinished.join(run)).with_context(|| unwritable(&unfinished))?;
        for file in OF_A_RUN.map(|name| Path::new(run).join(name)) {
            copy(&root.join(&file), &unfinished.join(&file))?;
        }
    }
    copy_beside(root, &unfinished)?;
    fs::rename(&unfinished, &args.to).with_context(|| unwritable(&args.to))?;
    println!("{} holds {}.", args.to.display(), runs.join(", "));
    Ok(())
}

/// Puts every run of a backup into the data folder, unless it has data of one of them.
pub fn restore(config: &Config, args: &RestoreArgs) -> anyhow::Result<()> {
    let root = args.data_dir.as_deref().unwrap_or(&config.data_dir);
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
    for run in &runs {
        let mut folder = DataFolder::make(root, run.clone())?;
        if !folder.own_if_free()? {
            bail!("a tickwire runs on the data of `{run}` under {}: stop it", root.display());
        }
        let (from, to) = (args.from.join(run), root.join(run));
        for name in OF_A_RUN {
            let unfinished = to.join(format!("{name}.new"));
            copy(&from.join(name), &unfinished)?;
            if unfinished.exists() {
                fs::rename(&unfinished, to.join(name)).with_context(|| unwritable(&to))?;
            }
        }
    }
    copy_beside(&args.from, root)?;
    println!("{} holds {} again.", root.display(), runs.join(", "));
    Ok(())
}

/// Copies a file of a run, if it is there, and looks whether the copy is whole.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_file() {
        return Ok(());
    }
    if to.exists() {
        // What an earlier try left.
        fs::remove_file(to).with_context(|| unwritable(to))?;
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
