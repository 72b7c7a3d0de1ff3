//! A list as a person writes it, in JSON.

use serde::Deserialize;

use super::Entry;
use super::check::{BadEntry, BadList, BadPlace, MAX_ENTRIES, checked};
use crate::kept::{short, typed_values};

/// The fields that an entry from outside may have: a misspelt one is not passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedEntry {
    #[serde(default)]
    symbol: Option<String>,
    #[serde(default)]
    search_term: Option<String>,
    #[serde(default)]
    sections: Vec<String>,
}

/// Reads and checks a list as a person writes it: a JSON array of entries, or
/// an object that holds it under `entries`, as it is listed.
///
/// # Errors
/// As [`checked`], and when it is no JSON or of another shape.
pub fn parse(json: &[u8]) -> Result<Vec<Entry>, BadList> {
    let values = typed_values(json).map_err(BadList::Malformed)?;
    if values.len() > MAX_ENTRIES {
        return Err(BadList::TooMany(values.len()));
    }
    let mut bad = Vec::new();
    let mut entries = Vec::with_capacity(values.len());
    for (place, value) in (1..).zip(values) {
        let text = || short(&value.to_string());
        match TypedEntry::deserialize(&value) {
            Ok(TypedEntry { symbol, search_term, sections }) => {
                entries.push(Entry { symbol, search_term, sections });
            }
            Err(error) => {
                let problem = BadEntry::Malformed(error.to_string());
                bad.push(BadPlace { place, entry: text(), problem });
            }
        }
    }
    if bad.is_empty() { checked(entries) } else { Err(BadList::Entries(bad)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_list_is_read_and_its_mistakes_are_named() {
        let list = parse(br#"[{"symbol": " AAPL", "search_term": "apple"}, {"symbol": "MSFT"}]"#).unwrap();
        let shown: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["AAPL with `apple`", "MSFT"]);
        assert_eq!(parse(br#"{"version": 3, "entries": []}"#).unwrap(), []);
        for (typed, said) in [
            (&b"AAPL"[..], "the list cannot be read"),
            (b"7", "neither an array nor an object"),
            (b"{}", "no array `entries`"),
            (br#"[{"symbol": "A"}, "MSFT"]"#, "entry 2 (\"MSFT\"): it is no entry"),
            (br#"[{"term": "apple"}]"#, "unknown field `term`"),
            (br#"[{"symbol": 7}]"#, "invalid type"),
        ] {
            let error = parse(typed).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
