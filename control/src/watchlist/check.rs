//! The rules for a valid watchlist.

use std::collections::{HashMap, HashSet};

use model::symbol::{self, BadSymbol};

use super::query::{self, BadQuery};
use super::{EVERY_SYMBOL, Entry};
use crate::kept::short;

/// The largest number of entries.
pub const MAX_ENTRIES: usize = 10_000;
/// The largest length of a search term, in characters.
pub const MAX_TERM: usize = 200;
/// The largest number of sections of one entry.
pub const MAX_SECTIONS: usize = 20;
/// The largest length of a section, in characters.
pub const MAX_SECTION: usize = 64;
/// The largest size of a list, in bytes of JSON, so that it fits into one record of any log.
pub const MAX_BYTES: usize = 900_000;

/// How many invalid entries a message describes; the others are counted.
const NAMED: usize = 20;

/// Why an entry is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// It has neither a symbol nor a search term.
    #[error("it is empty: give it a `symbol`, a `search_term`, or both")]
    Empty,
    /// The symbol is invalid.
    #[error("{0} (`*` stands for every symbol)")]
    Symbol(#[from] BadSymbol),
    /// The symbol has the spelling of another source.
    #[error("the source calls `{symbol}` {right}, so that no bar would match this spelling: write {right}")]
    Spelling {
        /// The symbol as it was entered.
        symbol: String,
        /// The symbol in the spelling of the feed.
        right: String,
    },
    /// A search term for all symbols: its news could not be assigned to a symbol.
    #[error("`*` stands for every symbol and takes no search term: put the term into an entry of its own")]
    TermOfEverySymbol,
    /// The search term is too long.
    #[error(
        "the search term has {0} characters, at most {MAX_TERM} are taken: split it over several entries"
    )]
    TermTooLong(usize),
    /// The search term has a control character, such as a line break or a tab.
    #[error("the search term holds the control character {0:?}: leave it out")]
    ControlCharacter(char),
    /// The search term is not a valid query.
    #[error(transparent)]
    Query(#[from] BadQuery),
    /// It has sections but no search term.
    #[error("it has sections but no search term: add a `search_term`")]
    SectionsOfNothing,
    /// It has too many sections.
    #[error("it names {0} sections, at most {MAX_SECTIONS} are taken")]
    TooManySections(usize),
    /// The name of a section is invalid.
    #[error(
        "`{0}` is not a section: sections are written as in the Guardian's addresses, us-news or business"
    )]
    Section(String),
    /// It is not a JSON object with the fields of an entry.
    #[error(
        "it is not a valid entry: {0}. An entry is written {{\"symbol\": \"AAPL\", \"search_term\": \"apple\", \"sections\": [\"business\"]}}, each field optional"
    )]
    Malformed(String),
    /// It has the same symbol and search term as the earlier entry at this position.
    #[error("it repeats entry {0}: symbol and search term together must be unique")]
    Repeats(usize),
}

/// An invalid entry with its position in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlace {
    /// The position, counted from 1.
    pub place: usize,
    /// The entry, formatted for a person.
    pub entry: String,
    /// Why it is invalid.
    pub problem: BadEntry,
}

/// Why a list is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadList {
    /// Some entries are invalid.
    #[error("{}", name_places(.0))]
    Entries(Vec<BadPlace>),
    /// It has too many entries.
    #[error("the list has {0} entries, at most {MAX_ENTRIES} are taken; `*` stands for every symbol")]
    TooMany(usize),
    /// It has too many bytes.
    #[error("the list has {0} bytes as JSON, at most {MAX_BYTES} are taken: shorten terms and sections")]
    TooLarge(usize),
    /// It is not JSON, or has another structure.
    #[error(
        "the list cannot be read: {0}. It is written [{{\"symbol\": \"AAPL\", \"search_term\": \"apple\"}}, {{\"symbol\": \"MSFT\"}}]"
    )]
    Malformed(String),
}

fn name_places(places: &[BadPlace]) -> String {
    let named = places.iter().take(NAMED);
    let mut lines: Vec<_> =
        named.map(|bad| format!("entry {} ({}): {}", bad.place, bad.entry, bad.problem)).collect();
    if places.len() > NAMED {
        lines.push(format!("and {} more", places.len() - NAMED));
    }
    lines.join("\n")
}

impl Entry {
    /// The entry with leading and trailing spaces removed.
    #[must_use]
    pub fn trimmed(self) -> Entry {
        let trim = |text: String| text.trim_matches(' ').to_owned();
        Entry {
            symbol: self.symbol.map(trim),
            search_term: self.search_term.map(trim),
            sections: self.sections.into_iter().map(trim).collect(),
        }
    }

    /// Checks an entry from outside.
    ///
    /// # Errors
    /// The first rule that it violates.
    pub fn check(&self) -> Result<(), BadEntry> {
        if self.symbol.is_none() && self.search_term.is_none() {
            return Err(if self.sections.is_empty() { BadEntry::Empty } else { BadEntry::SectionsOfNothing });
        }
        match (self.symbol.as_deref(), &self.search_term) {
            (Some(EVERY_SYMBOL), Some(_)) => return Err(BadEntry::TermOfEverySymbol),
            (Some(EVERY_SYMBOL) | None, _) => {}
            (Some(symbol), _) => symbol::check(symbol)?,
        }
        match &self.search_term {
            Some(term) => check_term(term)?,
            None if !self.sections.is_empty() => return Err(BadEntry::SectionsOfNothing),
            None => {}
        }
        if self.sections.len() > MAX_SECTIONS {
            return Err(BadEntry::TooManySections(self.sections.len()));
        }
        match self.sections.iter().find(|section| !is_section(section)) {
            Some(section) => Err(BadEntry::Section(section.chars().take(MAX_SECTION).collect())),
            None => Ok(()),
        }
    }

    /// The symbol and the search term, which together are unique in a list.
    pub(super) fn identity(&self) -> (Option<&str>, Option<&str>) {
        (self.symbol.as_deref(), self.search_term.as_deref())
    }
}

fn check_term(term: &str) -> Result<(), BadEntry> {
    let length = term.chars().count();
    if length > MAX_TERM {
        return Err(BadEntry::TermTooLong(length));
    }
    match term.chars().find(|c| c.is_control()) {
        Some(character) => Err(BadEntry::ControlCharacter(character)),
        None => Ok(query::check(term)?),
    }
}

fn is_section(section: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !section.is_empty()
        && section.len() <= MAX_SECTION
        && !section.starts_with('-')
        && section.bytes().all(allowed)
}

/// Trims and checks a whole list from outside.
///
/// # Errors
/// If it is too long, or with every invalid entry.
pub fn checked(entries: Vec<Entry>) -> Result<Vec<Entry>, BadList> {
    if entries.len() > MAX_ENTRIES {
        return Err(BadList::TooMany(entries.len()));
    }
    let entries: Vec<_> = entries.into_iter().map(Entry::trimmed).collect();
    let mut bad = Vec::new();
    let mut first: HashMap<_, usize> = HashMap::new();
    for (place, entry) in (1..).zip(&entries) {
        let outcome = entry.check().and_then(|()| match *first.entry(entry.identity()).or_insert(place) {
            earlier if earlier != place => Err(BadEntry::Repeats(earlier)),
            _ => Ok(()),
        });
        if let Err(problem) = outcome {
            bad.push(BadPlace { place, entry: shown(entry), problem });
        }
    }
    if !bad.is_empty() {
        return Err(BadList::Entries(bad));
    }
    match serde_json::to_vec(&entries).map_or(0, |json| json.len()) {
        length if length > MAX_BYTES => Err(BadList::TooLarge(length)),
        _ => Ok(entries),
    }
}

/// Checks the spelling of symbols that are in `new` but not in `old`. Symbols of the old list
/// are not checked, so that an old misspelling does not block other changes.
///
/// # Errors
/// Every misspelt entry with the right spelling.
pub fn check_spelling(old: &[Entry], new: &[Entry]) -> Result<(), BadList> {
    let held: HashSet<&str> = old.iter().filter_map(|entry| entry.symbol.as_deref()).collect();
    let misspelt = |(place, entry): (usize, &Entry)| {
        let symbol = entry.symbol.clone().filter(|symbol| !held.contains(symbol.as_str()))?;
        let right = symbol::spelling(&symbol)?;
        Some(BadPlace { place, entry: shown(entry), problem: BadEntry::Spelling { symbol, right } })
    };
    let bad: Vec<_> = (1..).zip(new).filter_map(misspelt).collect();
    if bad.is_empty() { Ok(()) } else { Err(BadList::Entries(bad)) }
}

/// Formats an entry of unknown content for a message.
fn shown(entry: &Entry) -> String {
    short(&entry.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(symbol: Option<&str>, term: Option<&str>, sections: &[&str]) -> Entry {
        Entry {
            symbol: symbol.map(Into::into),
            search_term: term.map(Into::into),
            sections: sections.iter().map(|&section| section.into()).collect(),
        }
    }

    #[test]
    fn symbols_terms_and_sections_are_taken_together_and_alone() {
        for good in [
            entry(Some("AAPL"), None, &[]),
            entry(Some("*"), None, &[]),
            entry(None, Some("amazon AND (cloud OR \"web services\")"), &["business", "us-news"]),
            entry(Some("BRK.B"), Some("berkshire"), &[]),
            entry(None, Some(&"x".repeat(MAX_TERM)), &[]),
        ] {
            assert_eq!(good.check(), Ok(()), "{good}");
        }
    }

    #[test]
    fn bad_entries_are_refused_with_the_reason() {
        let many: Vec<_> = std::iter::repeat_n("business", MAX_SECTIONS + 1).collect();
        for (bad, said) in [
            (entry(None, None, &[]), "it is empty"),
            (entry(Some(""), None, &[]), "the symbol is empty"),
            (entry(Some("~clock0"), None, &[]), "heartbeats"),
            (entry(Some("A*"), None, &[]), "'*'"),
            (entry(Some("*"), Some("x"), &[]), "takes no search term"),
            (entry(None, Some(""), &[]), "the search term has no word"),
            (entry(None, Some("a\nb"), &[]), "'\\n'"),
            (entry(None, Some(&"é".repeat(MAX_TERM + 1)), &[]), "has 201 characters"),
            (entry(None, Some("a \"b"), &[]), "at character 3"),
            (entry(Some("AAPL"), None, &["business"]), "sections but no search term"),
            (entry(None, None, &["business"]), "sections but no search term"),
            (entry(None, Some("a"), &["Business"]), "`Business` is not a section"),
            (entry(None, Some("a"), &["-business"]), "is not a section"),
            (entry(None, Some("a"), &many), "names 21 sections"),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn every_bad_entry_of_a_list_is_named_by_its_place() {
        let list = vec![
            entry(Some("AAPL"), None, &[]),
            entry(Some("A B"), None, &[]),
            entry(Some(" AAPL "), None, &[]),
            entry(Some("AAPL"), Some("apple"), &[]),
            entry(None, Some("(a"), &[]),
        ];
        let error = checked(list).unwrap_err().to_string();
        assert!(error.contains("entry 2 (A B): the symbol `A B`"), "{error}");
        assert!(error.contains("entry 3 (AAPL): it repeats entry 1"), "{error}");
        assert!(error.contains("entry 5 (`(a`): the search term is invalid at character 1"), "{error}");
        assert!(!error.contains("entry 4"), "{error}");
    }

    #[test]
    fn a_symbol_of_elsewhere_is_refused_with_its_spelling_unless_it_stood_there() {
        let symbols =
            |symbols: &[&str]| symbols.iter().map(|&name| entry(Some(name), None, &[])).collect::<Vec<_>>();
        let new = symbols(&["AAPL", "NASDAQ:MSFT", "BRK-B", "BRKpA", "*", "ibm"]);
        let error = check_spelling(&symbols(&["ibm"]), &new).unwrap_err().to_string();
        assert!(error.contains("entry 2 (NASDAQ:MSFT): the source calls `NASDAQ:MSFT` MSFT"), "{error}");
        assert!(error.contains("entry 3 (BRK-B)") && error.contains("write BRK.B"), "{error}");
        assert_eq!(error.lines().count(), 2, "{error}");
        assert_eq!(check_spelling(&new, &new), Ok(()));
        assert_eq!(check_spelling(&[], &[entry(None, Some("aapl"), &[])]), Ok(()));
    }

    #[test]
    fn ten_thousand_entries_pass_and_one_more_does_not() {
        let list = |n| (0..n).map(|i| entry(Some(&format!("S{i}")), None, &[])).collect::<Vec<_>>();
        assert_eq!(checked(list(MAX_ENTRIES)).unwrap().len(), MAX_ENTRIES);
        assert_eq!(checked(list(MAX_ENTRIES + 1)), Err(BadList::TooMany(MAX_ENTRIES + 1)));
        let long = "x".repeat(MAX_TERM - 6);
        let huge = (0..9_000).map(|i| entry(None, Some(&format!("{long} {i}")), &[])).collect();
        assert!(matches!(checked(huge), Err(BadList::TooLarge(_))));
        let bad = vec![entry(Some("A B"), None, &[]); MAX_ENTRIES];
        let error = checked(bad).unwrap_err().to_string();
        assert!(error.lines().count() == NAMED + 1 && error.ends_with("and 9980 more"), "{error}");
    }
}
