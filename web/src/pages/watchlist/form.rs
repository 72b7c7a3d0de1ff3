//! What was typed into the watchlist's forms, and what it comes to.

use control::watchlist::{
    BadEntry, BadList, BadQuery, EVERY_SYMBOL, Entry, Past, Watchlist, check_spelling, checked,
};
use model::symbol;
use serde::Deserialize;

/// The fields of both forms; what a form lacks is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    /// The version that the page showed.
    version: String,
    /// What is to be done, with the place or version that it is done to: `add`, `up 3`.
    r#do: String,
    /// The entry that is edited; empty for a new one.
    pub(super) place: String,
    pub(super) symbol: String,
    pub(super) term: String,
    pub(super) sections: String,
    pub(super) many: String,
}

/// What a form asks for; places are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Save,
    Preview,
    Check,
    AddMany,
    Remove(usize),
    Up(usize),
    Down(usize),
    Restore(u64),
}

/// What is wrong, beside the field that it is wrong in.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) form: String,
    pub(super) symbol: String,
    pub(super) term: Option<TermProblem>,
    pub(super) sections: String,
    pub(super) many: Vec<String>,
}

/// What is wrong with a term, with the place marked where there is one.
#[derive(Debug)]
pub(super) struct TermProblem {
    pub(super) text: String,
    /// The term before the place, at it, and after it.
    pub(super) marked: Option<[String; 3]>,
}

impl Typed {
    /// The fields filled in with an entry of the list.
    pub(super) fn of(place: usize, entry: &Entry) -> Typed {
        Typed {
            place: place.to_string(),
            symbol: entry.symbol.clone().unwrap_or_default(),
            term: entry.search_term.clone().unwrap_or_default(),
            sections: entry.sections.join(", "),
            ..Typed::default()
        }
    }

    pub(super) fn version(&self) -> Option<u64> {
        self.version.parse().ok()
    }

    /// What is asked for, if it is something that can be done.
    pub(super) fn deed(&self) -> Option<Deed> {
        let (name, of) = self.r#do.split_once(' ').unwrap_or((&self.r#do, ""));
        Some(match name {
            "save" => Deed::Save,
            "preview" => Deed::Preview,
            "check" => Deed::Check,
            "many" => Deed::AddMany,
            "remove" => Deed::Remove(of.parse().ok()?),
            "up" => Deed::Up(of.parse().ok()?),
            "down" => Deed::Down(of.parse().ok()?),
            "restore" => Deed::Restore(of.parse().ok()?),
            _ => return None,
        })
    }

    /// The entry as typed.
    pub(super) fn entry(&self) -> Entry {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let between = |c: char| c == ',' || c.is_whitespace();
        let sections = self.sections.split(between).filter(|section| !section.is_empty());
        Entry {
            symbol: some(&self.symbol),
            search_term: some(&self.term),
            sections: sections.map(str::to_owned).collect(),
        }
    }

    /// The list as it would be.
    pub(super) fn entries(
        &self,
        deed: Deed,
        list: &Watchlist,
        past: &[Past],
    ) -> Result<Vec<Entry>, Problems> {
        let mut entries = list.entries.clone();
        let gone = || Problems::of_form("That entry is no longer there.");
        match deed {
            Deed::Save => return self.saved(list),
            Deed::AddMany => return added(&self.many, list),
            Deed::Preview | Deed::Check => {}
            Deed::Remove(place) if (1..=entries.len()).contains(&place) => drop(entries.remove(place - 1)),
            Deed::Up(place) if (2..=entries.len()).contains(&place) => entries.swap(place - 2, place - 1),
            Deed::Down(place) if (1..entries.len()).contains(&place) => entries.swap(place - 1, place),
            Deed::Restore(0) => entries.clear(),
            Deed::Restore(version) => {
                let then = past.iter().find(|past| past.version == version);
                entries
                    .clone_from(&then.ok_or_else(|| Problems::of_form("That version is not kept."))?.entries);
            }
            Deed::Remove(_) | Deed::Up(_) | Deed::Down(_) => return Err(gone()),
        }
        Ok(entries)
    }

    /// What is wrong with the entry as typed.
    pub(super) fn problems(&self, list: &Watchlist) -> Problems {
        self.saved(list).err().unwrap_or_default()
    }

    /// The list with the entry as typed, at its place or at the end.
    fn saved(&self, list: &Watchlist) -> Result<Vec<Entry>, Problems> {
        let mut entries = list.entries.clone();
        let place = match self.place.parse::<usize>() {
            Ok(place) => {
                let held = place.checked_sub(1).and_then(|index| entries.get_mut(index));
                *held.ok_or_else(|| Problems::of_form("That entry is no longer there."))? = self.entry();
                place
            }
            Err(_) => {
                entries.push(self.entry());
                entries.len()
            }
        };
        let spelt = |entries: Vec<Entry>| check_spelling(&list.entries, &entries).map(|()| entries);
        checked(entries).and_then(spelt).map_err(|bad| match bad {
            BadList::Entries(places) => {
                let mut problems = Problems::default();
                for bad in places {
                    // Repeating a later entry is a mistake of this one as well.
                    match bad.problem {
                        problem if bad.place == place => problems.take(problem),
                        BadEntry::Repeats(earlier) if earlier == place => {
                            problems.take(BadEntry::Repeats(bad.place));
                        }
                        problem => problems.form = problem.to_string(),
                    }
                }
                problems
            }
            bad => Problems::of_form(&bad.to_string()),
        })
    }
}

impl Problems {
    pub(super) fn of_form(text: &str) -> Problems {
        Problems { form: text.to_owned(), ..Problems::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        let Problems { form, symbol, term, sections, many } = self;
        form.is_empty() && symbol.is_empty() && term.is_none() && sections.is_empty() && many.is_empty()
    }

    fn take(&mut self, problem: BadEntry) {
        match problem {
            BadEntry::Query(bad) => self.term = Some(TermProblem::of(&bad)),
            BadEntry::TermTooLong(_) | BadEntry::ControlCharacter(_) | BadEntry::TermOfEverySymbol => {
                self.term = Some(TermProblem { text: problem.to_string(), marked: None });
            }
            BadEntry::SectionsOfNothing | BadEntry::TooManySections(_) | BadEntry::Section(_) => {
                self.sections = problem.to_string();
            }
            BadEntry::Empty => self.symbol = "Give a symbol, a search term, or both.".into(),
            BadEntry::Repeats(place) => {
                self.symbol = format!("Entry {place} has this symbol and this search term already.");
            }
            BadEntry::Symbol(_) | BadEntry::Spelling { .. } | BadEntry::Malformed(_) => {
                self.symbol = problem.to_string();
            }
        }
    }
}

impl TermProblem {
    fn of(bad: &BadQuery) -> TermProblem {
        let part = |from: usize, count: usize| bad.term.chars().skip(from).take(count).collect::<String>();
        let marked = [part(0, bad.at), part(bad.at, 1), part(bad.at + 1, usize::MAX)];
        TermProblem { text: format!("At character {}: {}.", bad.at + 1, bad.problem), marked: Some(marked) }
    }
}

// Many entries at once, as they are pasted out of a list or a sheet.

/// So many mistakes are named.
const NAMED: usize = 10;

/// The list with what was pasted: symbols between commas, blanks or lines, and
/// lines such as `AAPL: apple AND iphone` that tie a symbol to a term. What the
/// list has already stays as it is.
pub(super) fn added(text: &str, list: &Watchlist) -> Result<Vec<Entry>, Problems> {
    let pasted = read(text)?;
    if pasted.is_empty() {
        return Err(of_many(vec!["Nothing to add: paste symbols, as in AAPL, MSFT.".into()]));
    }
    let mut entries = list.entries.clone();
    for entry in pasted {
        let same = |held: &Entry| held.symbol == entry.symbol && held.search_term == entry.search_term;
        if !entries.iter().any(same) {
            entries.push(entry);
        }
    }
    let spelt = |entries: Vec<Entry>| check_spelling(&list.entries, &entries).map(|()| entries);
    checked(entries).and_then(spelt).map_err(|bad| Problems::of_form(&bad.to_string()))
}

fn read(text: &str) -> Result<Vec<Entry>, Problems> {
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        // A colon within a word belongs to a symbol, as in X:BTC-USD.
        let found: Vec<Entry> = match line.split_once(": ") {
            Some((symbol, term)) => vec![Entry {
                symbol: Some(symbol.trim().to_owned()).filter(|symbol| !symbol.is_empty()),
                search_term: Some(term.trim().to_owned()),
                sections: Vec::new(),
            }],
            None => symbols(line).map(|symbol| Entry { symbol: Some(symbol), ..Entry::default() }).collect(),
        };
        for entry in found {
            match check(&entry) {
                Ok(()) => entries.push(entry),
                Err(problem) => wrong.push(format!("Line {number}: {problem}")),
            }
        }
    }
    if wrong.is_empty() {
        return Ok(entries);
    }
    let more = wrong.len().saturating_sub(NAMED);
    wrong.truncate(NAMED);
    if more > 0 {
        wrong.push(format!("And {more} more."));
    }
    Err(of_many(wrong))
}

fn symbols(line: &str) -> impl Iterator<Item = String> {
    let words = line.split(|c: char| matches!(c, ',' | ';' | '"' | '\'') || c.is_whitespace());
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}

fn check(entry: &Entry) -> Result<(), String> {
    match &entry.symbol {
        Some(name) if entry.search_term.is_none() && name != EVERY_SYMBOL => {
            symbol::check(name).map_err(|bad| bad.to_string())
        }
        _ => entry.check().map_err(|bad| bad.to_string()),
    }
}

fn of_many(many: Vec<String>) -> Problems {
    Problems { many, ..Problems::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Watchlist {
        let symbol = |symbol: &str| Entry { symbol: Some(symbol.into()), ..Entry::default() };
        Watchlist { version: 3, entries: vec![symbol("AAPL"), symbol("IBM"), symbol("MSFT")] }
    }

    fn typed(symbol: &str, term: &str, sections: &str) -> Typed {
        Typed { symbol: symbol.into(), term: term.into(), sections: sections.into(), ..Typed::default() }
    }

    fn order(deed: &str) -> Result<String, Problems> {
        let typed = Typed { r#do: deed.into(), ..Typed::default() };
        let entries = typed.entries(typed.deed().unwrap(), &list(), &[])?;
        Ok(entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn entries_are_moved_and_removed_by_their_place() {
        assert_eq!(order("up 2").unwrap(), "IBM AAPL MSFT");
        assert_eq!(order("down 2").unwrap(), "AAPL MSFT IBM");
        assert_eq!(order("remove 1").unwrap(), "IBM MSFT");
        assert_eq!(order("restore 0").unwrap(), "");
        for deed in ["up 1", "down 3", "remove 4", "remove 0", "restore 9"] {
            assert!(!order(deed).unwrap_err().form.is_empty(), "{deed}");
        }
        let unknown = Typed { r#do: "sell 1".into(), ..Typed::default() };
        assert_eq!(unknown.deed(), None);
    }

    #[test]
    fn what_is_wrong_is_said_at_the_field_that_it_is_wrong_in() {
        let problems = |typed: Typed| typed.problems(&list());
        assert!(problems(typed("NVDA", "nvidia AND chips", "business, technology")).is_empty());
        assert!(problems(typed("A B", "", "")).symbol.contains("' '"));
        assert!(problems(typed("", "", "")).symbol.contains("Give a symbol"));
        assert!(problems(typed("NASDAQ:NVDA", "", "")).symbol.contains("write NVDA"));
        assert!(problems(typed("IBM", "", "")).symbol.contains("Entry 2"));
        assert!(problems(typed("", "x", "Business")).sections.contains("not a section"));
        let term = problems(typed("NVDA", "a (b", "")).term.unwrap();
        assert_eq!(term.marked.unwrap(), ["a ", "(", "b"]);
        assert!(term.text.contains("At character 3"), "{}", term.text);
    }

    #[test]
    fn an_edit_may_keep_what_it_is_and_not_become_another() {
        let edit = |symbol: &str| Typed { place: "2".into(), ..typed(symbol, "", "") };
        assert!(edit("IBM").problems(&list()).is_empty());
        assert!(edit("AAPL").problems(&list()).symbol.contains("Entry 1"));
        assert!(edit("MSFT").problems(&list()).symbol.contains("Entry 3"));
    }

    fn listed() -> Watchlist {
        let entries = vec![Entry { symbol: Some("IBM".into()), ..Entry::default() }];
        Watchlist { version: 1, entries }
    }

    fn shown(text: &str) -> Vec<String> {
        added(text, &listed()).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn symbols_are_read_however_they_are_separated() {
        assert_eq!(
            shown("AAPL, MSFT;\tX:BTC-USD\r\n\"BRK.B\" IBM"),
            ["IBM", "AAPL", "MSFT", "X:BTC-USD", "BRK.B"]
        );
        assert!(added("AAPL, BRK-B", &listed()).unwrap_err().form.contains("write BRK.B"));
        assert_eq!(shown("AAPL AAPL"), ["IBM", "AAPL"]);
    }

    #[test]
    fn a_line_with_a_term_ties_it_to_its_symbol() {
        assert_eq!(
            shown("AAPL: apple AND iphone\n: \"interest rates\""),
            ["IBM", "AAPL with `apple AND iphone`", "`\"interest rates\"`",]
        );
    }

    #[test]
    fn every_mistake_is_named_by_its_line() {
        let wrong = added("AAPL\nA_B, C_D\nMSFT: (x", &listed()).unwrap_err().many;
        assert_eq!(wrong.len(), 3);
        assert!(
            wrong[0].starts_with("Line 2: the symbol `A_B`") && wrong[2].starts_with("Line 3: "),
            "{wrong:?}"
        );
        assert_eq!(added(" \n", &listed()).unwrap_err().many.len(), 1);
        assert_eq!(added(&"A_B ".repeat(50), &listed()).unwrap_err().many.len(), NAMED + 1);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_pasted_is_taken_or_refused_by_its_lines(text in "\\PC{0,80}|[-A-Z,;|\"()\\t\\n ]{0,80}") {
            let _ = added(&text, &listed());
            let with_a_good_line = read(&format!("{text}\nMSFT"));
            assert_eq!(read(&text).is_err(), with_a_good_line.is_err());
            assert!(with_a_good_line.is_err() || with_a_good_line.unwrap().iter().any(|entry| entry.symbol.as_deref() == Some("MSFT")));
        }
    }
}
