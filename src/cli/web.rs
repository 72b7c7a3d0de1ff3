//! What can be typed to say who may reach the page.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum WebCommand {
    /// Set a password that the page asks for; it is typed, or read from standard input
    SetPassword {
        /// Whose it is; the owner's without this
        #[arg(long, value_name = "NAME")]
        name: Option<String>,

        /// Who signs in with it reads, and changes nothing; the name is `viewer` unless there is one
        #[arg(long)]
        read_only: bool,

        #[command(flatten)]
        data: FolderArgs,
    },
    /// Let a name sign in no longer; what is open under it ends
    RemovePassword {
        /// Whose it is
        #[arg(long, value_name = "NAME")]
        name: String,

        #[command(flatten)]
        data: FolderArgs,
    },
    /// List who may sign in, by name and role
    People {
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
