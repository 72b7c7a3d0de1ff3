//! Many entries at once, as they are pasted out of a list or a sheet.

use control::watchlist::{EVERY_SYMBOL, Entry, Watchlist, check_spelling, checked};
use model::symbol;

use super::form::Problems;

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
        let entries = vec![Entry { symbol: Some("IBM".into()), ..Entry::default() }];
        Watchlist { version: 1, entries }
    }

    fn shown(text: &str) -> Vec<String> {
        added(text, &list()).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn symbols_are_read_however_they_are_separated() {
        assert_eq!(
            shown("AAPL, MSFT;\tX:BTC-USD\r\n\"BRK.B\" IBM"),
            ["IBM", "AAPL", "MSFT", "X:BTC-USD", "BRK.B"]
        );
        assert!(added("AAPL, BRK-B", &list()).unwrap_err().form.contains("write BRK.B"));
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
        let wrong = added("AAPL\nA_B, C_D\nMSFT: (x", &list()).unwrap_err().many;
        assert_eq!(wrong.len(), 3);
        assert!(
            wrong[0].starts_with("Line 2: the symbol `A_B`") && wrong[2].starts_with("Line 3: "),
            "{wrong:?}"
        );
        assert_eq!(added(" \n", &list()).unwrap_err().many.len(), 1);
        assert_eq!(added(&"A_B ".repeat(50), &list()).unwrap_err().many.len(), NAMED + 1);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_pasted_is_taken_or_refused_by_its_lines(text in "\\PC{0,80}|[-A-Z,;|\"()\\t\\n ]{0,80}") {
            let _ = added(&text, &list());
            let with_a_good_line = read(&format!("{text}\nMSFT"));
            assert_eq!(read(&text).is_err(), with_a_good_line.is_err());
            assert!(with_a_good_line.is_err() || with_a_good_line.unwrap().iter().any(|entry| entry.symbol.as_deref() == Some("MSFT")));
        }
    }
}
