//! The password: kept as an Argon2id hash, checked a few at a time because a
//! check takes memory and time on purpose.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use std::{fmt, io};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest as _, Sha256};

/// The shortest password taken, in characters.
const SHORTEST: usize = 12;
/// The longest, in bytes; more only costs time.
const LONGEST: usize = 1_024;

/// What is wrong with a password or its hash.
#[derive(Debug, thiserror::Error)]
pub enum BadPassword {
    /// Too easily guessed.
    #[error("the password has {found} characters, at least {SHORTEST} are needed: take a few words")]
    Short {
        /// Its length.
        found: usize,
    },
    /// Too long to be typed.
    #[error("the password is longer than {LONGEST} bytes: take a shorter one")]
    Long,
    /// No Argon2id hash.
    #[error("this is no Argon2id hash, which begins with $argon2id$: `tickwire web set-password` makes one")]
    NoHash,
    /// It could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
}

/// A hashed password; prints as `•••`.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a new password.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn of(password: &str) -> Result<PasswordHash, BadPassword> {
        let found = password.chars().count();
        if found < SHORTEST {
            return Err(BadPassword::Short { found });
        }
        if password.len() > LONGEST {
            return Err(BadPassword::Long);
        }
        let hash = Argon2::default().hash_password(password.as_bytes());
        hash.map(|hash| PasswordHash(hash.to_string()))
            .map_err(|error| BadPassword::Failed(error.to_string()))
    }

    /// A hash as it was written down.
    ///
    /// # Errors
    /// When it is none of Argon2id.
    pub fn parse(text: &str) -> Result<PasswordHash, BadPassword> {
        let text = text.trim();
        match Phc::new(text) {
            Ok(_) if text.starts_with("$argon2id$") => Ok(PasswordHash(text.to_owned())),
            _ => Err(BadPassword::NoHash),
        }
    }

    /// The hash, to be written down.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `attempt` is the password. Takes its time, whatever comes of it.
    pub(super) fn is_of(&self, attempt: &str) -> bool {
        let Ok(hash) = Phc::new(&self.0) else { return false };
        attempt.len() <= LONGEST && Argon2::default().verify_password(attempt.as_bytes(), &hash).is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

// Identities that cannot be guessed, and what is kept of them.

/// What is kept of an identity: who reads it cannot use it.
pub(super) type Digest = [u8; 32];

/// 256 bits from the system, in hexadecimal.
///
/// # Errors
/// When the system has no randomness to give.
pub(super) fn identity() -> Result<String, io::Error> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(io::Error::other)?;
    Ok(hexadecimal(&bits))
}

/// SHA-256; an identity of 256 bits needs nothing slower.
pub(super) fn digest(identity: &str) -> Digest {
    Sha256::digest(identity.as_bytes()).into()
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// A small file as a server asks for it: read again when it changes, so that what
// a command writes holds at once.

/// What tells one state of a file from another: files are replaced, not changed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

/// The file, and what it held when it was read last.
pub(super) struct Followed<T> {
    path: PathBuf,
    parse: fn(&Path, &str) -> T,
    read: Mutex<Read<T>>,
}

struct Read<T> {
    stamp: Option<Stamp>,
    /// How often it has changed.
    changes: u64,
    value: T,
}

impl<T: Default> Followed<T> {
    pub(super) fn new(path: &Path, parse: fn(&Path, &str) -> T) -> Followed<T> {
        let read = Read { stamp: None, changes: 0, value: T::default() };
        Followed { path: path.to_owned(), parse, read: Mutex::new(read) }
    }

    /// How often the file has been read, now included where it has changed.
    pub(super) fn changes(&self) -> u64 {
        self.fresh().changes
    }

    /// As it is now. A file that is not there or cannot be read holds nothing.
    fn fresh(&self) -> MutexGuard<'_, Read<T>> {
        let now = fs::metadata(&self.path).ok().map(|file| stamp(&file));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamp == now {
            return read;
        }
        let value = match fs::read_to_string(&self.path) {
            Ok(text) => (self.parse)(&self.path, &text),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(file = %self.path.display(), %error, "Nothing of this file is accepted.");
                }
                T::default()
            }
        };
        *read = Read { stamp: now, changes: read.changes + 1, value };
        read
    }

    /// What the file holds now, as `look` sees it.
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.fresh().value)
    }
}

fn stamp(file: &Metadata) -> Stamp {
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(file);
    #[cfg(not(unix))]
    let number = 0;
    Stamp { modified: file.modified().ok(), length: file.len(), number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let hash = PasswordHash::of("correct horse battery").unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$"));
        let read = PasswordHash::parse(&format!("{}\n", hash.expose())).unwrap();
        assert!(read.is_of("correct horse battery"));
        assert!(!read.is_of("correct horse batterz") && !read.is_of("") && !read.is_of(&"x".repeat(5_000)));
        assert_eq!(format!("{read:?}"), "•••");
    }

    #[test]
    fn short_passwords_and_other_hashes_are_refused_with_the_way_on() {
        assert!(PasswordHash::of("ninechars").unwrap_err().to_string().contains("at least 12"));
        assert!(PasswordHash::of(&"x".repeat(2_000)).is_err());
        for text in
            ["", "secret", "$2b$12$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"]
        {
            assert!(PasswordHash::parse(text).unwrap_err().to_string().contains("set-password"), "{text}");
        }
    }
}
