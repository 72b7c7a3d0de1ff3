//! `tickwire web`: the password of the page, and the tokens of programs. Both
//! are kept beside the runs, for all of them.

mod prompt;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use web::{Access, ApiTokens, PasswordHash};
use wire::time;

use crate::cli::{FolderArgs, TokenCommand, WebCommand};
use crate::config::Config;
use crate::private_file;

/// Holds the hash of the password, in the data folder.
const PASSWORD: &str = "password";
/// Holds the digests of the tokens.
const TOKENS: &str = "api-tokens";

/// Sets the password, or lists and changes the tokens.
pub fn run(config: &Config, command: WebCommand) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let root = |data: FolderArgs| data.data_dir.unwrap_or_else(|| config.data_dir.clone());
    match command {
        WebCommand::SetPassword { data } => {
            let hash = PasswordHash::of(&prompt::new_password()?)?;
            keep(&root(data), PASSWORD, hash.expose())?;
            if config.web.password.is_some() {
                eprintln!("Note: web.password_hash is set as well, and goes before it.");
            }
            writeln!(out, "The page asks for this password from its next start on.")?;
        }
        WebCommand::Token(TokenCommand::Add { name, data }) => {
            let root = root(data);
            let (text, token) = ApiTokens::of(&root.join(TOKENS)).with(&name)?;
            keep(&root, TOKENS, &text)?;
            eprintln!(
                "This is shown once. Send it as `Authorization: Bearer TOKEN`; it reads and changes nothing."
            );
            writeln!(out, "{token}")?;
        }
        WebCommand::Token(TokenCommand::List { data }) => {
            for token in ApiTokens::of(&root(data).join(TOKENS)).list()? {
                writeln!(out, "{}  since {}", token.name, time::rfc3339(token.made))?;
            }
        }
        WebCommand::Token(TokenCommand::Remove { name, data }) => {
            let root = root(data);
            let text = ApiTokens::of(&root.join(TOKENS)).without(&name)?;
            keep(&root, TOKENS, &text)?;
            writeln!(out, "The token `{name}` is accepted no longer.")?;
        }
    }
    Ok(())
}

/// Who may reach the page, by the settings and by what lies in the data folder.
///
/// # Errors
/// When the password's file cannot be read or holds no hash.
pub fn access(config: &Config) -> anyhow::Result<Access> {
    let password = match &config.web.password {
        Some(hash) => Some(hash.clone()),
        None => kept_password(&config.data_dir.join(PASSWORD))?,
    };
    Ok(Access {
        password,
        public_url: config.web.public_url.clone(),
        trusted_proxies: config.web.trusted_proxies.clone(),
        api_tokens: Some(config.data_dir.join(TOKENS)),
        ..Access::default()
    })
}

fn kept_password(file: &Path) -> anyhow::Result<Option<PasswordHash>> {
    match fs::read_to_string(file) {
        Ok(text) => {
            let hash = PasswordHash::parse(&text).with_context(|| file.display().to_string())?;
            Ok(Some(hash))
        }
        // A folder that is none is told about by whoever makes it.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).with_context(|| {
            format!("the password in {} cannot be read: check the owner of the file", file.display())
        }),
    }
}

fn keep(root: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    private_file::make_folder(root, private_file::Readers::Owner)?;
    let file: PathBuf = root.join(name);
    private_file::write(&file, text)
}
