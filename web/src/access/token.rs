//! Tokens of programs that read the API: each has a name, and a file keeps
//! their digests.

use std::path::{Path, PathBuf};
use std::{fs, io};

use model::time::{self, Millis};
use subtle::ConstantTimeEq;

use super::password::{Followed, digest, hexadecimal, identity};

/// What a token begins with, so that it is known where it turns up.
const MARK: &str = "tw_";
const MOST: usize = 100;

/// What can go wrong with the tokens.
#[derive(Debug, thiserror::Error)]
pub enum BadTokens {
    /// Their file.
    #[error("the file of API tokens {} cannot be used: {source}. Check its owner and its rights", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A name that cannot be one.
    #[error("`{0}` cannot name a token: take letters, digits, - and _, at most 40")]
    Name(String),
    /// A name that there is.
    #[error("there is a token `{0}` already: remove it first, or take another name")]
    Taken(String),
    /// A name that there is not.
    #[error("there is no token `{0}`: `tickwire web token list` shows them")]
    Unknown(String),
    /// Too many.
    #[error("there are {MOST} tokens already: remove some with `tickwire web token remove NAME`")]
    Many,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// Whose it is.
    pub name: String,
    /// When it was made.
    pub made: Millis,
    /// The digest of what its holder shows.
    digest: String,
}

/// The tokens in a file, a line each.
pub struct ApiTokens {
    path: PathBuf,
}

impl ApiTokens {
    /// The tokens of a file, which need not be there.
    pub fn of(path: &Path) -> ApiTokens {
        ApiTokens { path: path.to_owned() }
    }

    /// Every token.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn list(&self) -> Result<Vec<KnownToken>, BadTokens> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().filter_map(KnownToken::parse).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(BadTokens::File { path: self.path.clone(), source }),
        }
    }

    /// What the file holds with a new token, and the token itself, which is shown once.
    ///
    /// # Errors
    /// When the name is taken or none.
    pub fn with(&self, name: &str) -> Result<(String, String), BadTokens> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(fits) {
            return Err(BadTokens::Name(name.to_owned()));
        }
        let mut tokens = self.list()?;
        if tokens.iter().any(|token| token.name == name) {
            return Err(BadTokens::Taken(name.to_owned()));
        }
        if tokens.len() >= MOST {
            return Err(BadTokens::Many);
        }
        let identity = identity().map_err(|source| BadTokens::File { path: self.path.clone(), source })?;
        let shown = format!("{MARK}{identity}");
        tokens.push(KnownToken {
            name: name.to_owned(),
            made: time::now(),
            digest: hexadecimal(&digest(&shown)),
        });
        Ok((text(&tokens), shown))
    }

    /// What the file holds without a token.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn without(&self, name: &str) -> Result<String, BadTokens> {
        let mut tokens = self.list()?;
        let before = tokens.len();
        tokens.retain(|token| token.name != name);
        if tokens.len() == before {
            return Err(BadTokens::Unknown(name.to_owned()));
        }
        Ok(text(&tokens))
    }
}

impl KnownToken {
    fn parse(line: &str) -> Option<KnownToken> {
        let mut words = line.split_whitespace();
        let (name, digest, made) = (words.next()?, words.next()?, words.next()?);
        Some(KnownToken { name: name.into(), digest: digest.into(), made: made.parse().ok()? })
    }
}

fn text(tokens: &[KnownToken]) -> String {
    tokens.iter().map(|token| format!("{} {} {}\n", token.name, token.digest, token.made)).collect()
}

/// The tokens as a server asks for them: read again when the file changes.
pub(super) struct TokenFile {
    tokens: Followed<Vec<KnownToken>>,
}

impl TokenFile {
    pub(super) fn new(path: &Path) -> TokenFile {
        let parse = |_: &Path, text: &str| text.lines().filter_map(KnownToken::parse).collect();
        TokenFile { tokens: Followed::new(path, parse) }
    }

    /// The name of the token that is shown, if it is one.
    pub(super) fn name_of(&self, shown: &str) -> Option<String> {
        if !shown.starts_with(MARK) {
            return None;
        }
        let digest = hexadecimal(&digest(shown));
        let is_it = |token: &&KnownToken| bool::from(token.digest.as_bytes().ct_eq(digest.as_bytes()));
        self.tokens.look(|tokens| tokens.iter().find(is_it).map(|token| token.name.clone()))
    }

    /// How often what the file holds has changed.
    pub(super) fn changes(&self) -> u64 {
        self.tokens.changes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_until_it_is_removed_and_the_file_does_not_hold_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let (tokens, served) = (ApiTokens::of(&path), TokenFile::new(&path));
        let (text, shown) = tokens.with("notebook").unwrap();
        assert_eq!(served.name_of(&shown), None, "not kept yet");
        assert!(!text.contains(&shown) && shown.starts_with("tw_") && shown.len() == 67);
        fs::write(&path, text).unwrap();
        assert_eq!(served.name_of(&shown).as_deref(), Some("notebook"));
        for other in ["", "tw_", "tw_0", &shown[..66], &format!("{shown}0"), "notebook"] {
            assert_eq!(served.name_of(other), None, "{other}");
        }
        assert!(matches!(tokens.with("notebook"), Err(BadTokens::Taken(_))));
        assert!(matches!(tokens.with("a b"), Err(BadTokens::Name(_))));
        assert!(matches!(tokens.without("other"), Err(BadTokens::Unknown(_))));
        assert_eq!(tokens.without("notebook").unwrap(), "");
        fs::remove_file(&path).unwrap();
        assert_eq!(served.name_of(&shown), None);
    }
}
