//! What can be typed to copy data away and to bring it back.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder to make; every command that reads takes it as --data-dir
    #[arg(value_name = "DIR")]
    pub to: PathBuf,

    /// The folder that `tickwire up` keeps its data under [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The folder that `tickwire backup` made
    #[arg(value_name = "DIR")]
    pub from: PathBuf,

    /// The folder that `tickwire up` will keep its data under [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}
