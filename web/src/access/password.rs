//! The password: kept as an Argon2id hash, checked a few at a time because a
//! check takes memory and time on purpose.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

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
