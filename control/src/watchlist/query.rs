//! The syntax of a search term, and the JSON form of a watchlist.
//!
//! A term has words, "phrases", brackets, AND, OR and NOT, as in the `q` parameter of the
//! Guardian's content API.

use serde::Deserialize;

use super::Entry;
use super::check::{BadEntry, BadList, BadPlace, MAX_ENTRIES, checked};
use crate::kept::{short, typed_values};

/// A search term that is not a valid query, with the position of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuery {
    /// The search term.
    pub term: String,
    /// The position of the error, in characters from 0.
    pub at: usize,
    /// The error.
    pub problem: Problem,
}

/// An error at one position of a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The query has no word.
    #[error("the search term has no word")]
    Empty,
    /// A quotation mark without its partner.
    #[error("this quote is never closed")]
    OpenQuote,
    /// `""`.
    #[error("these quotes are empty")]
    EmptyPhrase,
    /// A typographic quotation mark, which the Guardian's search takes for a letter.
    #[error("this quote is not a plain one: write \"")]
    CurlyQuote,
    /// `(` without `)`.
    #[error("this bracket is never closed")]
    OpenBracket,
    /// `)` without `(`.
    #[error("this bracket was never opened")]
    ClosingBracket,
    /// `()`.
    #[error("these brackets are empty")]
    EmptyBrackets,
    /// An operator at the beginning of a query or group, or after another operator.
    #[error("{0} needs a word before it (in lower case it is a word itself)")]
    NothingBefore(&'static str),
    /// An operator at the end of a query or group.
    #[error("{0} needs a word after it (in lower case it is a word itself)")]
    NothingAfter(&'static str),
}

impl std::error::Error for BadQuery {}

impl std::fmt::Display for BadQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (place, margin) = (self.at + 1, " ".repeat(self.at));
        write!(
            f,
            "the search term is invalid at character {place}: {}\n  {}\n  {margin}^",
            self.problem, self.term
        )
    }
}

/// A token of a search term.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// A word or a phrase.
    Word,
    Operator(&'static str),
    Open,
    Close,
}

/// Checks the syntax of a search term.
///
/// # Errors
/// The first error.
pub fn check(term: &str) -> Result<(), BadQuery> {
    first_problem(term).map_err(|(at, problem)| BadQuery { term: term.to_owned(), at, problem })
}

fn first_problem(term: &str) -> Result<(), (usize, Problem)> {
    let tokens = tokens(term)?;
    // Whether a word, phrase or group ends here, so that AND or OR may follow.
    let mut complete = false;
    let mut open = Vec::new();
    let mut before = None;
    for &(at, token) in &tokens {
        match (token, before) {
            (Token::Word, _) => complete = true,
            (Token::Open, _) => {
                open.push(at);
                complete = false;
            }
            (Token::Operator("NOT"), Some((_, Token::Operator("NOT")))) => {
                return Err((at, Problem::NothingBefore("the second NOT")));
            }
            (Token::Operator("NOT"), _) => complete = false,
            (Token::Operator(name), _) if !complete => return Err((at, Problem::NothingBefore(name))),
            (Token::Operator(_), _) => complete = false,
            (Token::Close, before) => {
                open.pop().ok_or((at, Problem::ClosingBracket))?;
                match before {
                    Some((at, Token::Operator(name))) => return Err((at, Problem::NothingAfter(name))),
                    Some((at, Token::Open)) => return Err((at, Problem::EmptyBrackets)),
                    _ => complete = true,
                }
            }
        }
        before = Some((at, token));
    }
    match (before, open.last()) {
        (None, _) => Err((0, Problem::Empty)),
        (Some((at, Token::Operator(name))), _) => Err((at, Problem::NothingAfter(name))),
        (_, Some(&at)) => Err((at, Problem::OpenBracket)),
        _ => Ok(()),
    }
}

/// The tokens with their positions, in characters from 0.
fn tokens(term: &str) -> Result<Vec<(usize, Token)>, (usize, Problem)> {
    let mut tokens = Vec::new();
    let mut rest = term.chars().enumerate().peekable();
    while let Some((at, character)) = rest.next() {
        let token = match character {
            ' ' => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '“' | '”' | '„' => return Err((at, Problem::CurlyQuote)),
            '"' => {
                let mut blank = true;
                loop {
                    match rest.next() {
                        None => return Err((at, Problem::OpenQuote)),
                        Some((_, '"')) if blank => return Err((at, Problem::EmptyPhrase)),
                        Some((_, '"')) => break,
                        Some((_, inside)) => blank &= inside == ' ',
                    }
                }
                Token::Word
            }
            first => {
                let mut word = String::from(first);
                while let Some((_, next)) = rest.next_if(|(_, next)| !" ()\"“”„".contains(*next)) {
                    word.push(next);
                }
                match word.as_str() {
                    "AND" => Token::Operator("AND"),
                    "OR" => Token::Operator("OR"),
                    "NOT" => Token::Operator("NOT"),
                    _ => Token::Word,
                }
            }
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

/// The fields of an entry from outside. Unknown fields are refused, so that a misspelt one is
/// reported.
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

/// Parses and checks a list: a JSON array of entries, or an object with this array in
/// `entries`, as the list command prints it.
///
/// # Errors
/// As [`checked`], and if it is not JSON or has another structure.
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
    use proptest::prelude::*;

    #[test]
    fn queries_as_the_guardian_takes_them_pass() {
        for term in [
            "amazon",
            "federal reserve",
            "\"interest rates\"",
            "apple AND (iphone OR \"app store\") NOT fruit",
            "NOT football",
            "boeing AND NOT airbus",
            "(((a) OR b) AND c)",
            "sand and water",
            "AT&T",
            "Nestlé",
            "中国 AND 経済",
        ] {
            assert_eq!(check(term), Ok(()), "{term}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        use Problem::*;
        for (term, at, problem) in [
            ("", 0, Empty),
            ("   ", 0, Empty),
            ("a \"b c", 2, OpenQuote),
            ("a \" \"", 2, EmptyPhrase),
            ("“rates”", 0, CurlyQuote),
            ("é (b", 2, OpenBracket),
            ("(a (b) c", 0, OpenBracket),
            ("a) b", 1, ClosingBracket),
            ("a ()", 2, EmptyBrackets),
            ("AND a", 0, NothingBefore("AND")),
            ("a AND OR b", 6, NothingBefore("OR")),
            ("a NOT OR b", 6, NothingBefore("OR")),
            ("a (OR b)", 3, NothingBefore("OR")),
            ("NOT NOT a", 4, NothingBefore("the second NOT")),
            ("a AND", 2, NothingAfter("AND")),
            ("(a NOT) b", 3, NothingAfter("NOT")),
        ] {
            assert_eq!(check(term), Err(BadQuery { term: term.into(), at, problem }), "{term}");
        }
    }

    #[test]
    fn the_place_is_marked_under_the_term() {
        let said = check("apple AND (pie").unwrap_err().to_string();
        assert!(said.contains("at character 11: this bracket is never closed"), "{said}");
        assert!(said.ends_with("\n  apple AND (pie\n            ^"), "{said}");
    }

    /// Whether quotation marks come in pairs and, outside of them, brackets match.
    fn is_balanced(term: &str) -> bool {
        let (mut quoted, mut depth) = (false, 0_i64);
        for character in term.chars() {
            match character {
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                return false;
            }
        }
        !quoted && depth == 0
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_its_place_lies_within(term in any::<String>()) {
            if let Err(bad) = check(&term) {
                prop_assert!(bad.at <= term.chars().count());
                prop_assert!(!bad.to_string().is_empty());
            }
        }

        #[test]
        fn an_accepted_query_is_balanced(term in "([a-c()\" ]|AND |OR |NOT ){0,24}") {
            if check(&term).is_ok() {
                prop_assert!(is_balanced(&term), "{term}");
            }
        }

        #[test]
        fn accepted_queries_stay_accepted_when_they_are_combined(
            one in "([a-c() ]|\"[a-c]\"|AND |OR |NOT ){1,12}",
            other in "[a-c]{1,4}",
        ) {
            if check(&one).is_ok() {
                let combined = format!("({one}) AND NOT \"{other}\"");
                prop_assert_eq!(check(&combined), Ok(()));
            }
        }
    }

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
            (br#"[{"symbol": "A"}, "MSFT"]"#, "entry 2 (\"MSFT\"): it is not a valid entry"),
            (br#"[{"term": "apple"}]"#, "unknown field `term`"),
            (br#"[{"symbol": 7}]"#, "invalid type"),
        ] {
            let error = parse(typed).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
