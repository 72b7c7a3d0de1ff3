//! Statements of a file: Arroyo's `WATERMARK FOR` clause is taken out of the
//! tokens, what remains is SQL that DataFusion's parser reads.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::error::EngineError;

/// A statement with the clause that was taken out of it.
pub(crate) struct Statement {
    pub(crate) parsed: ast::Statement,
    pub(crate) watermark: Option<Watermark>,
}

/// `WATERMARK FOR column AS expression`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watermark {
    pub(crate) column: String,
    pub(crate) expression: ast::Expr,
}

/// Reads all statements of a file.
pub(crate) fn statements(file: &str, text: &str) -> Result<Vec<Statement>, EngineError> {
    let syntax = |reason: String| EngineError::Syntax { file: file.to_owned(), reason };
    // Placeholders are filled in for Arroyo; here they only need to be tokens, and stand in quotes.
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| syntax(error.to_string()))?;
    tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(|token| !matches!(token.token, Token::Whitespace(_))))
        .map(|tokens| statement(tokens).map_err(|error| syntax(error.to_string())))
        .collect()
}

fn statement(tokens: &[TokenWithSpan]) -> Result<Statement, ParserError> {
    let (rest, clause) = take_watermark(tokens);
    let parsed = whole(rest, Parser::parse_statement)?;
    let watermark = match clause {
        None => None,
        Some((column, expression)) => {
            Some(Watermark { column, expression: whole(expression, Parser::parse_expr)? })
        }
    };
    Ok(Statement { parsed, watermark })
}

/// Parses all of `tokens`; what is left over is an error, not ignored.
fn whole<T>(
    tokens: Vec<TokenWithSpan>,
    parse: impl Fn(&mut Parser<'static>) -> Result<T, ParserError>,
) -> Result<T, ParserError> {
    let mut parser = Parser::new(&GenericDialect {}).with_tokens_with_locations(tokens);
    let parsed = parse(&mut parser)?;
    match parser.peek_token() {
        TokenWithSpan { token: Token::EOF, .. } => Ok(parsed),
        left => parser.expected("end of statement", left),
    }
}

/// The tokens without the clause, and the clause's column and expression.
fn take_watermark(tokens: &[TokenWithSpan]) -> (Vec<TokenWithSpan>, Option<(String, Vec<TokenWithSpan>)>) {
    let Some(start) = tokens.iter().position(|token| is_word(token, "watermark")) else {
        return (tokens.to_vec(), None);
    };
    let words: Vec<usize> = (start..tokens.len())
        .filter(|&at| !matches!(tokens[at].token, Token::Whitespace(_)))
        .take(4)
        .collect();
    let &[_, for_at, column_at, as_at] = words.as_slice() else { return (tokens.to_vec(), None) };
    let (true, true, Token::Word(column)) =
        (is_word(&tokens[for_at], "for"), is_word(&tokens[as_at], "as"), &tokens[column_at].token)
    else {
        return (tokens.to_vec(), None);
    };
    let end = end_of_expression(tokens, as_at + 1);
    let comma = tokens[..start].iter().rposition(|token| token.token == Token::Comma).unwrap_or(start);
    let rest = tokens[..comma].iter().chain(&tokens[end..]).cloned().collect();
    (rest, Some((column.value.clone(), tokens[as_at + 1..end].to_vec())))
}

/// Where the comma or bracket stands that ends the expression.
fn end_of_expression(tokens: &[TokenWithSpan], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen | Token::Comma if depth == 0 => return at,
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_clause_is_taken_out_wherever_it_stands() {
        for text in [
            "CREATE TABLE t (a BIGINT, WATERMARK FOR at AS f(a * 1, 'x, y')) WITH (topic = 't')",
            "CREATE TABLE t (a BIGINT, watermark for at as f(a * 1, 'x, y'), b TEXT) WITH (topic = 't');",
        ] {
            let read = statements("t", text).unwrap();
            let watermark = read[0].watermark.clone().unwrap();
            assert_eq!(watermark.column, "at");
            assert_eq!(watermark.expression.to_string(), "f(a * 1, 'x, y')");
            assert!(!read[0].parsed.to_string().to_lowercase().contains("watermark"));
        }
    }

    #[test]
    fn what_does_not_parse_is_named_with_its_place() {
        let error = statements("broken", "SELECT 1;\nSELECT 1 FROM a b c").err().unwrap().to_string();
        assert!(error.contains("sql/broken.sql") && error.contains("Line: 2"), "{error}");
    }
}
