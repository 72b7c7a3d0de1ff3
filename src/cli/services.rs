//! What can be typed to run and look after the services of a distributed pipeline.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::WebCommand;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct WebArgs {
    /// Serve the live page at this address [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = super::address)]
    pub listen: Option<SocketAddr>,

    #[command(subcommand)]
    pub command: Option<WebCommand>,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The address that is asked, as `http://127.0.0.1:9100/readyz`
    pub url: Url,
}

#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The folder of jobs
    #[arg(long, value_name = "DIR", default_value = "sql")]
    pub sql: PathBuf,

    /// The folder of functions
    #[arg(long, value_name = "DIR", default_value = "udfs")]
    pub udfs: PathBuf,

    /// Only print what would change
    #[arg(long)]
    pub dry_run: bool,

    /// Only print the text of each job as the cluster gets it; nothing is asked of the cluster
    #[arg(long, conflicts_with = "dry_run")]
    pub print: bool,

    /// Go on after that: watch the jobs, start again what fails, and say how they fare
    #[arg(long, conflicts_with_all = ["dry_run", "print"])]
    pub watch: bool,

    /// How many seconds the cluster may take to answer, and each job to reach its state
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub patience: u64,
}
