//! The errors of a query, with the position in its text where one is known.

use std::time::Duration;

use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};
use store::StoreError;

/// Why a query failed or was ended.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum ExploreError {
    /// It does not parse, refers to something unknown, or fails on a value.
    #[error("{}{message}{}", place.as_ref().map(Place::words).unwrap_or_default(), place.as_ref().map(Place::shown).unwrap_or_default())]
    Sql {
        /// DataFusion's message.
        message: String,
        /// Where in the query.
        place: Option<Place>,
    },
    /// It is not a read-only statement, or there is more than one.
    #[error(
        "{found} is not run here: only one SELECT, EXPLAIN, SHOW or DESCRIBE at a time, and nothing that changes anything"
    )]
    NotReadOnly {
        /// What was found instead.
        found: String,
    },
    /// It is longer than the limit.
    #[error(
        "the query has {words} words and symbols, more than the limit of {most}: shorten it, or split it into several queries"
    )]
    TooLong {
        /// Its number of words and punctuation marks.
        words: usize,
        /// The limit.
        most: usize,
    },
    /// It exceeded its time limit.
    #[error("the query was ended after {} s: query one symbol (WHERE symbol = …) or a shorter time range", limit.as_secs())]
    TooSlow {
        /// The time limit.
        limit: Duration,
    },
    /// It exceeded its memory limit.
    #[error("the query needs more than {} MB at once: ask for one symbol or a shorter time, group by fewer values, or make shorter texts", limit >> 20)]
    TooLarge {
        /// The memory limit, in bytes.
        limit: usize,
    },
    /// One of its rows is longer than the limit.
    #[error("a row of the answer has {} MB, more than the limit of {}: select fewer columns, or shorten texts with left(…, 1000)", size >> 20, most >> 20)]
    TooWide {
        /// The row's size in bytes.
        size: usize,
        /// The limit in bytes.
        most: usize,
    },
    /// It nests too deeply for the stack.
    #[error("the query nests too deeply: write it flatter, with fewer brackets and subselects")]
    TooDeep,
    /// The maximum number of queries is running already.
    #[error("{at_once} queries are running already: try again when one has ended")]
    Busy {
        /// The maximum number of queries.
        at_once: usize,
    },
    /// The store failed; its message.
    #[error("{0}")]
    Store(String),
    /// Its thread or process ended abnormally or could not be started.
    #[error(
        "the query failed because of an error in Tickwire: rephrase it, and report the problem with the query's text"
    )]
    Crashed,
}

/// A position in the text of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// The text of the line.
    text: String,
}

impl Place {
    fn of(sql: &str, line: u64, column: u64) -> Option<Place> {
        let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
        let text = sql.lines().nth(line.checked_sub(1)?)?.to_owned();
        (column > 0 && column <= text.chars().count() + 1).then_some(Place { line, column, text })
    }

    fn words(&self) -> String {
        format!("line {}, character {}: ", self.line, self.column)
    }

    /// The line with a mark below the position, shortened to the width of a screen.
    fn shown(&self) -> String {
        const AROUND: usize = 60;
        let from = self.column.saturating_sub(AROUND);
        let part: String = self.text.chars().skip(from).take(2 * AROUND).collect();
        format!("\n  {part}\n  {}^", " ".repeat(self.column - 1 - from.min(self.column - 1)))
    }
}

impl ExploreError {
    /// Converts an error of the store.
    pub(crate) fn of_store(error: &StoreError, memory: usize) -> ExploreError {
        let words = error.to_string();
        match error {
            StoreError::Sqlite { source, .. } if source.to_string().contains("out of memory") => {
                ExploreError::TooLarge { limit: memory }
            }
            _ => ExploreError::Store(words),
        }
    }

    /// Converts an error of DataFusion.
    pub(crate) fn of(error: DataFusionError, sql: &str, memory: usize) -> ExploreError {
        let place = place_of(&error, sql);
        match error {
            DataFusionError::External(source) => match source.downcast::<StoreError>() {
                Ok(store) => ExploreError::of_store(&store, memory),
                Err(source) => ExploreError::Sql { message: source.to_string(), place },
            },
            DataFusionError::Context(_, source) => ExploreError::of(*source, sql, memory),
            DataFusionError::Diagnostic(_, source) => match ExploreError::of(*source, sql, memory) {
                ExploreError::Sql { message, .. } => ExploreError::Sql { message, place },
                other => other,
            },
            DataFusionError::ResourcesExhausted(_) => ExploreError::TooLarge { limit: memory },
            DataFusionError::Shared(source)
                if matches!(source.find_root(), DataFusionError::ResourcesExhausted(_)) =>
            {
                ExploreError::TooLarge { limit: memory }
            }
            other => ExploreError::Sql { message: message_of(&other), place },
        }
    }
}

/// The position of an error: from its diagnostic, otherwise from the parser's message.
fn place_of(error: &DataFusionError, sql: &str) -> Option<Place> {
    if let Some(span) = error.diagnostic().and_then(|diagnostic| diagnostic.span) {
        return Place::of(sql, span.start.line, span.start.column);
    }
    let words = error.to_string();
    if words.contains("found: EOF") {
        let last = sql.lines().last()?;
        return Place::of(sql, sql.lines().count() as u64, last.chars().count() as u64 + 1);
    }
    let (_, after) = words.rsplit_once(" at Line: ")?;
    let (line, column) = after.split_once(", Column: ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Place::of(sql, line.parse().ok()?, column.parse().ok()?)
}

/// The message without references to DataFusion's internals.
fn message_of(error: &DataFusionError) -> String {
    let words = match error {
        DataFusionError::SQL(parser, _) => parser.to_string(),
        other => other.strip_backtrace(),
    };
    let words = words.split("\nThis issue was likely caused").next().unwrap_or_default();
    let words = words.rsplit_once(" at Line: ").map_or(words, |(message, _)| message);
    let bare = KINDS.iter().find_map(|kind| words.strip_prefix(kind)).unwrap_or(words);
    reworded(bare).unwrap_or_else(|| bare.trim_end_matches('.').to_owned())
}

/// A message of DataFusion that is written for programmers, reworded for users.
fn reworded(words: &str) -> Option<String> {
    if let Some(function) = words.strip_prefix("Invalid function '").and_then(|rest| rest.split('\'').next())
    {
        let nearest = words.split("Did you mean '").nth(1).and_then(|rest| rest.split('\'').next());
        let nearest = nearest.map(|name| format!("; the nearest is `{name}`")).unwrap_or_default();
        return Some(format!(
            "there is no function `{function}` here{nearest}. SHOW FUNCTIONS lists the available ones"
        ));
    }
    if words.starts_with("Unary operator '-' only supports signed") {
        return Some("an unsigned number, such as a rank, cannot be negated: write 0 - …".to_owned());
    }
    if let Some((_, what)) = words.split_once("Overflow happened on: ") {
        return Some(format!(
            "{} does not fit in a 64-bit integer: use CAST(… AS DOUBLE) to compute with floating-point numbers",
            what.trim_end_matches('.')
        ));
    }
    None
}

/// Prefixes of DataFusion's messages that do not help the author of a query.
const KINDS: [&str; 5] =
    ["sql parser error: ", "Error during planning: ", "Schema error: ", "Execution error: ", "Arrow error: "];
