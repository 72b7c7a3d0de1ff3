//! What can be typed: commands, flags and their help.

mod backup;
mod changes;
mod rules;
mod services;
mod study;
mod web;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use producer::Speed;

use crate::config;

pub use backup::{BackupArgs, RestoreArgs};
pub use changes::{
    BackfillArgs, DeadLettersCommand, DoctorArgs, Place, RecomputeArgs, WatchCommand, WatchedArgs,
};
pub use rules::RulesCommand;
pub use services::{DeployArgs, HealthArgs, WebArgs};
pub use study::{AggregateArgs, BacktestArgs};
pub use web::{FolderArgs, TokenCommand, WebCommand};

/// Watches stock prices and news as they happen, and shows per symbol how
/// volatile the market is and how it reacts to the news.
///
/// Without a command it is `tickwire up`, and takes its options: the whole
/// pipeline in one process.
#[derive(Debug, Parser)]
#[command(version, override_usage = "tickwire [OPTIONS] [COMMAND]", max_term_width = 100)]
pub struct Cli {
    /// Read settings from this file
    #[arg(long, global = true, value_name = "FILE", env = "TICKWIRE_CONFIG")]
    pub config: Option<PathBuf>,

    /// How log lines are written to standard error; RUST_LOG chooses which
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,

    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line. One that names no command is taken as `up`'s.
    pub fn read() -> Cli {
        let mut typed: Vec<OsString> = std::env::args_os().collect();
        let commands = Cli::command();
        let is_command =
            |word: &OsString| commands.get_subcommands().any(|command| *word == *command.get_name());
        let asks =
            |word: &OsString| ["help", "--help", "-h", "--version", "-V"].iter().any(|asked| word == asked);
        if !typed.iter().skip(1).any(|word| is_command(word) || asks(word)) {
            // A mistyped command is answered with the names of similar ones.
            if let Err(error) = Cli::try_parse_from(&typed)
                && error.kind() == ErrorKind::InvalidSubcommand
            {
                error.exit();
            }
            typed.insert(1.min(typed.len()), "up".into());
        }
        Cli::parse_from(typed)
    }
}

/// An address to listen at.
fn address(typed: &str) -> Result<SocketAddr, String> {
    typed.parse().map_err(|_| "write an IP address with a port, as 127.0.0.1:8080".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For machines, an object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole pipeline in this process, with its live page
    Up(UpArgs),
    /// Run one service over Kafka: prices to the log
    Producer,
    /// Run one service over Kafka: news to the log
    NewsWatcher,
    /// Run one service over Kafka: the jobs of sql/, by the local engine
    Engine,
    /// Run one service over Kafka: what the log holds to the store
    Sink,
    /// Run one service over Kafka: rules to alerts
    Alerts,
    /// Run one service over Kafka: the page and its API; or say who may reach it
    Web(WebArgs),
    /// Bring an Arroyo cluster to what sql/ and udfs/ say
    Deploy(DeployArgs),
    /// Ask a service whether it is well, for health checks
    Health(HealthArgs),
    /// Run a SQL job over files and write its rows
    Compute(ComputeArgs),
    /// Study what prices did around news, over files or the store's own history
    Backtest(BacktestArgs),
    /// Write days, weeks and months of stored bars again, while no `up` runs on the data
    Aggregate(AggregateArgs),
    /// Write a measurement out of the store
    Export(ExportArgs),
    /// Answer a question in SQL over the stored measurements
    Query(QueryArgs),
    /// Answer the one question on standard input: how this program asks itself
    #[command(hide = true)]
    Answer,
    /// List the topics of the log, as JSON lines
    Topics(DataArgs),
    /// Print the records of a topic, as JSON lines
    Tail(TailArgs),
    /// Check keys, hosts, clock, disk, log and store, and say what to do about each
    Doctor(DoctorArgs),
    /// Copy all data into a new folder, beside a running `up` too
    Backup(BackupArgs),
    /// Put the data of a backup into a folder that has none of it
    Restore(RestoreArgs),
    /// Bring history of minute bars from Polygon into the live data, while no `up` runs on it
    Backfill(BackfillArgs),
    /// Compute results again from stored bars and articles, beside a running `up` too
    Recompute(RecomputeArgs),
    /// Show what did not validate, and put back what does by now
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Make the passwords, keys, buckets and tokens of the distributed system, once
    Init(InitArgs),
    /// Show or change the rules that alerts follow
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Show or change what is watched: symbols and search terms
    #[command(subcommand)]
    Watch(WatchCommand),
}

/// The help of `--prices`: the live feeds are those that there are.
fn prices_help() -> String {
    let live = config::live_names();
    let first = producer::FEEDS.first().map_or("", |feed| feed.description().name);
    format!(
        "Where prices come from: {live}, `simulate` or `replay:FILE` (CSV, JSON lines or Parquet) [default: {first} with a key for it, else simulate]"
    )
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Keep log and store under this folder [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Serve the live page at this address [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,

    #[arg(long, value_name = "SOURCE", help = prices_help())]
    pub prices: Option<String>,

    /// Where news comes from: `guardian`, `simulate`, `replay:FILE` or `none` [default: of the kind of the prices, where there is a key or nothing is needed, else none]
    #[arg(long, value_name = "SOURCE")]
    pub news: Option<String>,

    /// Seconds of market time played in a second of yours, or `max` [default: 60]
    #[arg(long, value_name = "N")]
    pub speed: Option<Speed>,

    /// End once a finite replay has been written out in full
    #[arg(long)]
    pub exit_when_done: bool,
}

#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// The job, by the name of its file in sql/: `volatility`, `news_impact`, `news_reaction`, `movers`, `signals`
    pub job: String,

    /// Minute bars: CSV, JSON lines or Parquet, by the file's ending
    #[arg(long, value_name = "FILE")]
    pub bars: PathBuf,

    /// Articles, in the same formats
    #[arg(long, value_name = "FILE")]
    pub news: Option<PathBuf>,

    /// Add the column `session`: pre, regular, post or closed, by the exchange's calendar
    #[arg(long)]
    pub sessions: bool,
    /// Do not look ahead: use a bar or an article in a window only if it had been received by the
    /// window's end (`received_timestamp` of the files; where that is missing, the bar's end or the publication)
    #[arg(long)]
    pub as_of_arrival: bool,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The measurement: `volatility`, `stock_prices`, `news_articles` …
    pub measurement: String,

    /// Only this symbol
    #[arg(long, value_name = "S")]
    pub symbol: Option<String>,

    /// Only points at or after this time (epoch ms, date, or RFC 3339)
    #[arg(long, value_name = "T")]
    pub from: Option<String>,

    /// Only points before this time
    #[arg(long, value_name = "T")]
    pub to: Option<String>,

    /// Add the column `session`: pre, regular, post or closed, by the exchange's calendar
    #[arg(long)]
    pub sessions: bool,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Keep secrets under this folder, in one of its own for each service
    #[arg(long, value_name = "DIR")]
    pub secrets: PathBuf,

    /// Also make a password for each service to sign in to Kafka with, and the brokers' file of them
    #[arg(long)]
    pub kafka_users: bool,
}

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// One SELECT, SHOW TABLES or DESCRIBE table, as DataFusion takes them; `-` is standard input
    pub sql: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How rows are written [default: by the ending of --out, else csv]
    #[arg(long, value_name = "csv|json|parquet")]
    pub format: Option<files::Format>,

    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TailArgs {
    /// The topic, as `tickwire topics` lists it
    pub topic: String,

    /// Only records with this key, as a symbol
    #[arg(long, value_name = "K")]
    pub key: Option<String>,

    /// Where to begin: `beginning`, `end` (then wait for what comes), or a time of arrival
    #[arg(long, value_name = "beginning|end|TIME", default_value = "beginning")]
    pub from: String,

    /// Go on with what comes after
    #[arg(long, short)]
    pub follow: bool,

    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(Debug, Args)]
pub struct DataArgs {
    /// The folder that `tickwire up` keeps its data under [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Which run's data: `live`, `simulated` or `replayed/HASH` [default: the last one run]
    #[arg(long, value_name = "RUN")]
    pub data: Option<String>,
}
