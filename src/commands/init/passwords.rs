//! The passwords that people type: made once, kept in one file for them to look up.

use std::collections::BTreeMap;

use net::Secret;

use super::folder::SecretsFolder;

/// Where they stand.
pub const FILE: &str = "admin/passwords";

/// For the page of the web app.
pub const WEB: &str = "web";
/// For Grafana's user `admin`.
pub const GRAFANA: &str = "grafana";
/// For InfluxDB's user `admin`.
pub const INFLUXDB: &str = "influxdb";

const HEAD: &str = "# Made at the first start. The user of Grafana and of InfluxDB is `admin`.\n";

/// Letters and digits that are not taken for one another: 32, so that every five bits are one.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// So many of them: 120 bits.
const LENGTH: usize = 24;

/// Passwords by what they are for.
pub struct Passwords(BTreeMap<String, Secret>);

impl Passwords {
    /// Those that have been made.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &SecretsFolder) -> anyhow::Result<Passwords> {
        let text = folder.read(FILE)?.unwrap_or_default();
        let lines = text.expose().lines().filter(|line| !line.starts_with('#'));
        let passwords = lines.filter_map(|line| line.split_once(char::is_whitespace));
        Ok(Passwords(passwords.map(|(of, password)| (of.to_owned(), Secret::new(password))).collect()))
    }

    /// The password for `of`, if it is known.
    pub fn known(&self, of: &str) -> Option<&Secret> {
        self.0.get(of)
    }

    /// Keeps a password that is not in the file yet.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&mut self, folder: &SecretsFolder, of: &str, password: Secret) -> anyhow::Result<()> {
        self.0.insert(of.to_owned(), password);
        let line = |(of, password): (&String, &Secret)| format!("{of} {}\n", password.expose());
        folder.keep_private(FILE, &format!("{HEAD}{}", self.0.iter().map(line).collect::<String>()))
    }
}

/// A password that nobody guesses.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_password() -> anyhow::Result<Secret> {
    let mut bits = [0_u8; LENGTH];
    getrandom::fill(&mut bits)?;
    let letters = bits.iter().map(|bits| char::from(LETTERS[usize::from(bits % 32)]));
    Ok(Secret::new(letters.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_no_other() {
        let passwords: Vec<_> = (0..100).map(|_| new_password().unwrap().expose().to_owned()).collect();
        for (n, password) in passwords.iter().enumerate() {
            assert_eq!(password.len(), LENGTH);
            assert!(password.bytes().all(|letter| LETTERS.contains(&letter)));
            assert!(!passwords[..n].contains(password));
        }
    }

    #[test]
    fn passwords_are_found_again_beside_those_that_came_later() {
        let path = tempfile::tempdir().unwrap();
        let folder = SecretsFolder::at(path.path());
        let mut passwords = Passwords::read(&folder).unwrap();
        assert_eq!(passwords.known(WEB), None);
        passwords.keep(&folder, WEB, Secret::new("first")).unwrap();
        Passwords::read(&folder).unwrap().keep(&folder, GRAFANA, Secret::new("second")).unwrap();
        let read = Passwords::read(&folder).unwrap();
        assert_eq!(read.known(WEB), Some(&Secret::new("first")));
        assert_eq!(read.known(GRAFANA), Some(&Secret::new("second")));
    }
}
