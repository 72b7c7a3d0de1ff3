//! Secrets that do not print, and texts without them.

use std::fmt;

use serde::Deserialize;

/// What stands where a secret stood.
const MASK: &str = "•••";

/// A key or password: prints as `•••`, whatever prints it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` secret; white space around it is no part of it.
    pub fn new(text: impl AsRef<str>) -> Secret {
        Secret(text.as_ref().trim().to_owned())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// `text` without `secrets`, as they are and as they stand in a query string.
pub fn redact(text: &str, secrets: &[&Secret]) -> String {
    let mut forms: Vec<String> = Vec::new();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let escaped: String = url::form_urlencoded::byte_serialize(secret.0.as_bytes()).collect();
        forms.push(escaped.replace('+', "%20"));
        forms.push(escaped);
        forms.push(secret.0.clone());
    }
    // A secret that holds another one goes first.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form, MASK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_dots_and_is_exposed_only_on_request() {
        let secret = Secret::new(" key-123\n");
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)), "••• ••• Some(\n    •••,\n)");
        assert_eq!(secret.expose(), "key-123");
    }

    #[test]
    fn texts_are_redacted_in_every_form_that_a_secret_takes() {
        let (one, other) = (Secret::new("a b/c"), Secret::new("a b/c+d"));
        let text = "plain a b/c, query a+b%2Fc, path a%20b%2Fc, longer a b/c+d and a+b%2Fc%2Bd";
        assert_eq!(redact(text, &[&one, &other]), "plain •••, query •••, path •••, longer ••• and •••");
        assert_eq!(redact("nothing to hide", &[&Secret::default()]), "nothing to hide");
    }
}
