//! `tickwire web`: the passwords of the page, and the tokens of programs. All
//! are kept beside the runs, for all of them.

mod prompt;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use model::time;
use web::{Access, ApiTokens, OWNER, PasswordHash, PeopleFile, Role, VIEWER};

use crate::cli::{FolderArgs, TokenCommand, WebCommand};
use crate::config::Config;
use crate::private_file;

/// Holds the hash of the owner's password, in the data folder.
const PASSWORD: &str = "password";
/// Holds other names, each with its role and the hash of its password.
const PEOPLE: &str = "people";
/// Holds the digests of the tokens.
const TOKENS: &str = "api-tokens";

/// Sets and removes passwords, or lists and changes the tokens.
pub fn run(config: &Config, command: WebCommand) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let root = |data: FolderArgs| data.data_dir.unwrap_or_else(|| config.data_dir.clone());
    match command {
        WebCommand::SetPassword { name, read_only, data } => {
            let name = name.or_else(|| read_only.then(|| VIEWER.to_owned())).filter(|name| name != OWNER);
            let root = root(data);
            let people = PeopleFile::of(&root.join(PEOPLE));
            match name {
                None if read_only => {
                    anyhow::bail!("the owner may change things: choose another name with --name")
                }
                None => {
                    let hash = PasswordHash::of(&prompt::new_password()?)?;
                    keep(&root, PASSWORD, hash.expose())?;
                    if config.web.password.is_some() {
                        eprintln!("Note: web.password_hash is set as well, and goes before it.");
                    }
                    writeln!(out, "The page asks for this password from now on.")?;
                }
                Some(name) => {
                    let role = if read_only { Role::Viewer } else { Role::Owner };
                    // A name that cannot be one is told before a password is typed for it.
                    people.check(&name)?;
                    let hash = PasswordHash::of(&prompt::new_password()?)?;
                    keep(&root, PEOPLE, &people.with(&name, role, hash)?)?;
                    let may = if read_only { "reads, and changes nothing" } else { "may change everything" };
                    writeln!(out, "`{name}` signs in with this password from now on, and {may}.")?;
                }
            }
        }
        WebCommand::RemovePassword { name, data } => {
            let root = root(data);
            keep(&root, PEOPLE, &PeopleFile::of(&root.join(PEOPLE)).without(&name)?)?;
            writeln!(out, "`{name}` signs in no longer, and what was open under it ends.")?;
        }
        WebCommand::People { data } => {
            let root = root(data);
            if config.web.password.is_some() || kept_password(&root.join(PASSWORD))?.is_some() {
                writeln!(out, "{OWNER}  {}", Role::Owner.as_str())?;
            }
            for person in PeopleFile::of(&root.join(PEOPLE)).list()? {
                writeln!(out, "{}  {}", person.name, person.role.as_str())?;
            }
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
    let file = config.data_dir.join(PASSWORD);
    let password = config.web.password.clone();
    if password.is_none() {
        // Said here, before anything is served; later it lets the owner in no more.
        kept_password(&file)?;
    }
    Ok(Access {
        password_file: password.is_none().then_some(file),
        password,
        people: Some(config.data_dir.join(PEOPLE)),
        public_url: config.web.public_url.clone(),
        trusted_proxies: config.web.trusted_proxies.clone(),
        proxy_names: config.web.proxy_names.clone(),
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
