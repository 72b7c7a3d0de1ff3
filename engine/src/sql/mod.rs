//! Reads the files of `sql/`, in Arroyo's dialect: the files, intervals, and statements with
//! their `WATERMARK FOR` clause.

mod hop;
mod tables;

use std::path::Path;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::{Expr, Interval, Set};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use model::time::{HOUR, MINUTE, Millis, SECOND};

use crate::error::EngineError;

pub(crate) use hop::{WindowedQuery, end_column, pull_out_windows, start_column};
pub(crate) use tables::{SinkTable, SourceTable, Table};

/// The name of the file that declares the source tables.
pub(crate) const TABLES: &str = "tables";

/// The files of `sql/` by name, compiled into the program.
pub(crate) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

/// The SQL files of a folder by name.
///
/// # Errors
/// If the folder or a file cannot be read, or if the file of the source tables is missing.
pub(crate) fn files_of(folder: &Path) -> Result<Vec<(String, String)>, EngineError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| EngineError::Unreadable { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if let (Some(name), true) = (name, path.extension().is_some_and(|ending| ending == "sql")) {
            files.push((name.to_owned(), std::fs::read_to_string(&path).map_err(unreadable(&path))?));
        }
    }
    files.sort();
    if !files.iter().any(|(name, _)| name == TABLES) {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(unreadable(&folder.join(TABLES).with_extension("sql"))(missing));
    }
    Ok(files)
}

/// The value (ms) of a `SET updating_ttl = INTERVAL '…'`; `None` for any other statement.
pub(crate) fn updating_ttl(statement: &ast::Statement) -> Option<Result<Millis, String>> {
    let ast::Statement::Set(Set::SingleAssignment { variable, values, .. }) = statement else { return None };
    if !variable.to_string().eq_ignore_ascii_case("updating_ttl") {
        return None;
    }
    Some(match values.as_slice() {
        [Expr::Interval(interval)] => interval_millis(interval),
        _ => Err(format!("`{statement}` does not set an interval, as in INTERVAL '2 hours'")),
    })
}

/// The length of an `INTERVAL '…'`, in ms.
pub(crate) fn interval_millis(interval: &Interval) -> Result<Millis, String> {
    let refused = || format!("`{interval}` is not an interval of seconds, minutes, hours or days");
    let text = match interval.value.as_ref() {
        Expr::Value(value) => value.value.clone().into_string().unwrap_or_else(|| value.to_string()),
        other => other.to_string(),
    };
    let text = match &interval.leading_field {
        Some(unit) => format!("{text} {unit}"),
        None => text,
    };
    let (number, unit) = text.trim().split_once(' ').ok_or_else(refused)?;
    let number: Millis = number.parse().map_err(|_| refused())?;
    let unit = match unit.trim().to_lowercase().trim_end_matches('s') {
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => 24 * HOUR,
        _ => return Err(refused()),
    };
    Ok(number * unit)
}

// Statements. DataFusion's parser does not know Arroyo's `WATERMARK FOR` clause, so the clause
// is removed from the tokens before they are parsed.

/// A statement, with its clause.
pub(crate) struct Statement {
    pub(crate) parsed: ast::Statement,
    pub(crate) watermark: Option<Watermark>,
}

/// The clause `WATERMARK FOR column AS expression`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watermark {
    pub(crate) column: String,
    pub(crate) expression: Expr,
}

/// Parses all statements of a file.
pub(crate) fn statements(file: &str, text: &str) -> Result<Vec<Statement>, EngineError> {
    let syntax = |reason: String| EngineError::Syntax { file: file.to_owned(), reason };
    // Arroyo gets values for the placeholders. Here they are only put in quotes, so that they
    // are valid tokens.
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
    let parsed = parse_all(rest, Parser::parse_statement)?;
    let watermark = match clause {
        None => None,
        Some((column, expression)) => {
            Some(Watermark { column, expression: parse_all(expression, Parser::parse_expr)? })
        }
    };
    Ok(Statement { parsed, watermark })
}

/// Parses all of `tokens`; tokens that are left over are an error.
fn parse_all<T>(
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

/// The tokens without the clause, and the column and the expression of the clause.
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

/// The index of the comma or bracket that ends the expression.
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

    #[test]
    fn a_folder_is_read_as_what_is_built_in_and_one_without_source_tables_is_refused() {
        let here = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../sql"));
        let files = files_of(here).unwrap();
        assert!(files.iter().map(|(name, text)| (name.as_str(), text.as_str())).eq(FILES.iter().copied()));
        let elsewhere = files_of(&here.join("../udfs")).unwrap_err().to_string();
        assert!(elsewhere.contains("tables.sql"), "{elsewhere}");
        assert!(files_of(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere"));
    }
}
