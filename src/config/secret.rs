//! Secrets: from the environment, from files that it names, or from the settings file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use net::Secret;

/// How a variable of the environment is looked up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where a secret may stand.
pub struct Place<'a> {
    /// The key of the settings, as `polygon.api_key`.
    pub key: &'a str,
    /// Its common name in the environment, as `POLYGON_API_KEY`.
    pub common: &'static str,
    /// What the settings file holds.
    pub typed: Option<&'a Secret>,
    /// The file that the settings file names.
    pub file: Option<&'a Path>,
}

impl Place<'_> {
    /// The secret: by our own variable, by its common name, then by the
    /// settings file; each may also name a file. Empty variables are none.
    ///
    /// # Errors
    /// When a named file is missing or empty, or the secret cannot be one. The
    /// error never holds it.
    pub fn find(&self, environment: Environment<'_>) -> anyhow::Result<Option<Secret>> {
        let own = format!("TICKWIRE_{}", self.key.to_uppercase().replace('.', "__"));
        for name in [own.as_str(), self.common] {
            if let Some(text) = environment(name).filter(|text| !text.is_empty()) {
                let text = text.into_string().ok().with_context(|| format!("{name} is no text"))?;
                return usable(Secret::new(text), name).map(Some);
            }
            let name = format!("{name}_FILE");
            if let Some(file) = environment(&name).filter(|file| !file.is_empty()) {
                return from_file(&PathBuf::from(file), &name).map(Some);
            }
        }
        match (self.typed, self.file) {
            (Some(secret), _) if !secret.is_empty() => usable(secret.clone(), self.key).map(Some),
            (_, Some(file)) => from_file(file, &format!("{}_file", self.key)).map(Some),
            _ => Ok(None),
        }
    }
}

fn from_file(file: &Path, name: &str) -> anyhow::Result<Secret> {
    let shown = file.display();
    let text = fs::read_to_string(file).with_context(|| {
        format!("{name} names {shown}, which cannot be read: check the path and its rights")
    })?;
    let secret = Secret::new(text);
    if secret.is_empty() {
        bail!("{name} names {shown}, which is empty: put the key into it");
    }
    usable(secret, &shown.to_string())
}

fn usable(secret: Secret, place: &str) -> anyhow::Result<Secret> {
    if secret.is_empty() {
        bail!("{place} holds only blanks: put the key there, or leave it out");
    }
    if secret.expose().chars().any(|c| c.is_whitespace() || c.is_control()) {
        bail!("{place} holds a blank or a line break within the key: put the key alone there");
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "k-1234567890";

    fn found(
        variables: &[(&str, &str)],
        typed: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Option<Secret>, String> {
        let typed = typed.map(Secret::new);
        let place = Place { key: "polygon.api_key", common: "POLYGON_API_KEY", typed: typed.as_ref(), file };
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        place.find(&environment).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_environment_goes_before_the_settings_file_and_our_own_name_before_the_common_one() {
        let (own, common) = ("TICKWIRE_POLYGON__API_KEY", "POLYGON_API_KEY");
        assert_eq!(found(&[(own, "a"), (common, "b")], Some("c"), None), Ok(Some(Secret::new("a"))));
        assert_eq!(found(&[(common, "b")], Some("c"), None), Ok(Some(Secret::new("b"))));
        assert_eq!(found(&[(common, "")], Some("c"), None), Ok(Some(Secret::new("c"))));
        assert_eq!(found(&[], None, None), Ok(None));
    }

    #[test]
    fn a_file_may_hold_the_secret_and_must_then_be_there_and_hold_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let name = file.to_str().unwrap();
        for variable in ["POLYGON_API_KEY_FILE", "TICKWIRE_POLYGON__API_KEY_FILE"] {
            let _ = fs::remove_file(&file);
            let missing = found(&[(variable, name)], None, None).unwrap_err();
            assert!(missing.contains(variable) && missing.contains(name), "{missing}");
            fs::write(&file, "\n").unwrap();
            let empty = found(&[(variable, name)], None, None).unwrap_err();
            assert!(empty.contains(name) && empty.contains("empty"), "{empty}");
            fs::write(&file, format!("{KEY}\n")).unwrap();
            assert_eq!(found(&[(variable, name)], None, None), Ok(Some(Secret::new(KEY))));
        }
        assert_eq!(found(&[], None, Some(&file)), Ok(Some(Secret::new(KEY))));
    }

    #[test]
    fn no_error_holds_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, format!("{KEY}\n{KEY}\n")).unwrap();
        for said in [
            found(&[("POLYGON_API_KEY", "k-12345 67890")], None, None).unwrap_err(),
            found(&[("POLYGON_API_KEY_FILE", file.to_str().unwrap())], None, None).unwrap_err(),
            found(&[("POLYGON_API_KEY", "  ")], None, None).unwrap_err(),
        ] {
            assert!(!said.contains("12345") && said.contains("put the key"), "{said}");
        }
    }
}
