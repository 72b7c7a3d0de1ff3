//! What can be typed to check the data and to change it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The folder that `tickwire up` keeps its data under [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Bars that start at or after this time (epoch ms, date, or RFC 3339)
    #[arg(long, value_name = "D")]
    pub from: String,

    /// Bars that start before this time
    #[arg(long, value_name = "D")]
    pub to: String,

    /// Only this symbol; may be repeated [default: the symbols of the watchlist]
    #[arg(long = "symbol", value_name = "S")]
    pub symbols: Vec<String>,

    /// The folder that `tickwire up` keeps its data under [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RecomputeArgs {
    /// Results from this time on: windows that end at or after it (epoch ms, date, or RFC 3339)
    #[arg(long, value_name = "T")]
    pub from: String,

    /// Results before this time
    #[arg(long, value_name = "T")]
    pub to: String,

    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List dead letters with their offsets, sources and reasons
    List {
        /// Only of this source, or of those that begin so, as `polygon` or `replay:bars.csv`
        #[arg(long, value_name = "S")]
        source: Option<String>,

        /// As JSON lines, each letter whole
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Print one dead letter whole
    Show {
        /// Its offset, as `dead-letters list` shows it
        offset: Place,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Read dead letters again, and append to their topics those that validate now
    Replay {
        /// Their offsets, as `dead-letters list` shows them
        #[arg(value_name = "OFFSET", required_unless_present = "all")]
        offsets: Vec<Place>,

        /// Every dead letter there is
        #[arg(long, conflicts_with = "offsets")]
        all: bool,

        /// The CSV file that rows come from: its first line names their columns
        #[arg(long, value_name = "FILE")]
        header_of: Option<PathBuf>,

        #[command(flatten)]
        data: DataArgs,
    },
}

/// Where a record stands: its offset, with its partition before it where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub partition: u32,
    pub offset: u64,
}

impl std::str::FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Place, &'static str> {
        let (partition, offset) = text.split_once('/').unwrap_or(("0", text));
        let place = partition.parse().ok().zip(offset.parse().ok());
        place
            .map(|(partition, offset)| Place { partition, offset })
            .ok_or("an offset is a whole number, as 12, or 3/12 in partition 3")
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.partition {
            0 => write!(f, "{}", self.offset),
            partition => write!(f, "{partition}/{}", self.offset),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum WatchCommand {
    /// Show the watchlist
    List {
        /// As JSON, with its version, as `watch set` takes it
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Watch symbols, a search term, or a symbol's news by a search term
    Add {
        #[command(flatten)]
        entries: WatchedArgs,

        /// Only headlines of this section of the Guardian, as `business`; may be repeated
        #[arg(long = "section", value_name = "X", requires = "term")]
        sections: Vec<String>,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Stop watching: every entry of these symbols, of a search term, or of both together
    Remove {
        #[command(flatten)]
        entries: WatchedArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Put another list in place of the whole one
    Set {
        /// JSON, as `watch list --json` prints it or only its entries; `-` is standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,

        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct WatchedArgs {
    /// Tickers, as AAPL; '*' is all of them
    #[arg(value_name = "SYMBOL")]
    pub symbols: Vec<String>,

    /// What is searched for in the news: words, "phrases", brackets, AND, OR, NOT
    #[arg(long, value_name = "T")]
    pub term: Option<String>,

    /// The ticker that the search term belongs to
    #[arg(long, value_name = "S", conflicts_with = "symbols")]
    pub symbol: Option<String>,
}
