//! What can be typed to say who may reach the page.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum WebCommand {
    /// Set the password that the page asks for; it is typed, or read from standard input
    SetPassword {
        #[command(flatten)]
        data: FolderArgs,
    },
    /// Tokens with which programs read the API
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, this once
    Add {
        /// Whose it is, as `notebook`
        name: String,

        #[command(flatten)]
        data: FolderArgs,
    },
    /// List the tokens by name
    List {
        #[command(flatten)]
        data: FolderArgs,
    },
    /// Accept a token no longer
    Remove {
        /// Its name
        name: String,

        #[command(flatten)]
        data: FolderArgs,
    },
}

#[derive(Debug, Args)]
pub struct FolderArgs {
    /// The folder that `tickwire up` keeps its data under [default: the platform's data folder]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}
