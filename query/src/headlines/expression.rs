//! What a person types, as FTS5 takes it. Whatever is typed is words to look
//! for: nothing of it is ever read as FTS5's own syntax.

/// So many words are looked for; the rest is left out.
const MOST_WORDS: usize = 24;
/// So many characters are read.
const LONGEST: usize = 400;

/// Two expressions of FTS5; none where nothing is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expression {
    /// What all must match.
    pub(crate) wanted: Option<String>,
    /// What none may match.
    pub(crate) unwanted: Option<String>,
}

impl Expression {
    /// Reads `rate cuts "interest rate" -football`: every word (by its
    /// beginning) and every phrase must be there, and nothing after a minus.
    pub(crate) fn of(text: &str) -> Expression {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for piece in pieces(text).into_iter().take(MOST_WORDS) {
            if piece.excluded { unwanted.push(piece.quoted()) } else { wanted.push(piece.quoted()) }
        }
        let joined = |pieces: Vec<String>, by: &str| (!pieces.is_empty()).then(|| pieces.join(by));
        Expression { wanted: joined(wanted, " AND "), unwanted: joined(unwanted, " OR ") }
    }
}

struct Piece {
    text: String,
    phrase: bool,
    excluded: bool,
}

impl Piece {
    /// As a string of FTS5, in which only the quote has a meaning, and no text has one.
    fn quoted(&self) -> String {
        format!("\"{}\"{}", self.text, if self.phrase { "" } else { "*" })
    }
}

/// Words and phrases; a phrase that is never closed goes to the end.
fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest: &str = &text.chars().take(LONGEST).collect::<String>();
    loop {
        rest = rest.trim_start_matches(is_between);
        if rest.is_empty() {
            return found;
        }
        let excluded = rest.starts_with('-');
        rest = rest.trim_start_matches('-');
        let phrase = rest.starts_with('"');
        let body = if phrase { &rest[1..] } else { rest };
        let end = match phrase {
            true => body.find('"'),
            false => body.find(|character| character == '"' || is_between(character)),
        };
        let (piece, after) = body.split_at(end.unwrap_or(body.len()));
        rest = if phrase { after.trim_start_matches('"') } else { after };
        let text: String = piece.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.chars().any(char::is_alphanumeric) {
            found.push(Piece { text, phrase, excluded });
        }
    }
}

fn is_between(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_phrases_and_exclusions_are_told_apart() {
        let read = Expression::of("rate  cuts \"interest rate\" -football -\"world cup\"");
        assert_eq!(read.wanted.as_deref(), Some("\"rate\"* AND \"cuts\"* AND \"interest rate\""));
        assert_eq!(read.unwanted.as_deref(), Some("\"football\"* OR \"world cup\""));
    }

    #[test]
    fn what_has_no_letter_asks_for_nothing() {
        for text in ["", "   ", "\"\"", "-", "* ( ) ^ :", "\"!!\" -*", "\u{0}"] {
            assert_eq!(Expression::of(text), Expression::default(), "{text:?}");
        }
    }

    #[test]
    fn the_syntax_of_the_index_is_only_words() {
        let read = Expression::of("AND symbols:x NEAR(a b) \"open");
        let wanted = "\"AND\"* AND \"symbols:x\"* AND \"NEAR(a\"* AND \"b)\"* AND \"open\"";
        assert_eq!(read.wanted.as_deref(), Some(wanted));
    }
}
