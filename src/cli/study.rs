//! What can be typed to study history and to sum it up.

use std::path::PathBuf;

use clap::Args;

use super::DataArgs;

#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// Minute bars: CSV, JSON lines or Parquet [default: those of the store]
    #[arg(long, value_name = "FILE", requires = "news")]
    pub bars: Option<PathBuf>,

    /// Articles, in the same formats [default: those of the store]
    #[arg(long, value_name = "FILE", requires = "bars")]
    pub news: Option<PathBuf>,

    /// Only this symbol; may be repeated [default: all of them]
    #[arg(long = "symbol", value_name = "S")]
    pub symbols: Vec<String>,

    /// Take bars and articles as of when they were first seen, not of their own time
    #[arg(long)]
    pub as_of_arrival: bool,

    /// Write everything into this folder: report.txt, report.html and the tables as CSV
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,

    /// Write the report as one page with pictures
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Write the mean paths as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(Debug, Args)]
pub struct AggregateArgs {
    /// Days that are traded at or after this time (epoch ms, date, or RFC 3339)
    #[arg(long, value_name = "D")]
    pub from: String,

    /// Days that open before this time
    #[arg(long, value_name = "D")]
    pub to: String,

    #[command(flatten)]
    pub data: DataArgs,
}
