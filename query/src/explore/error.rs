//! Why a query gives no answer, with the place in its text where one is known.

use std::time::Duration;

use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};
use store::StoreError;

/// Why a query gives no answer, or ends before its time.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum ExploreError {
    /// It does not parse, names what there is not, or fails on a value.
    #[error("{}{message}{}", place.as_ref().map(Place::words).unwrap_or_default(), place.as_ref().map(Place::shown).unwrap_or_default())]
    Sql {
        /// What is wrong, in DataFusion's words.
        message: String,
        /// Where.
        place: Option<Place>,
    },
    /// It is no query, or more than one.
    #[error(
        "{found} is not run here: only one SELECT, EXPLAIN, SHOW or DESCRIBE at a time, and nothing that changes anything"
    )]
    NotReadOnly {
        /// What it is instead.
        found: String,
    },
    /// It is longer than is taken.
    #[error("the query has {words} words and signs, at most {most} are taken: shorten it, or ask in parts")]
    TooLong {
        /// Its length.
        words: usize,
        /// The longest taken.
        most: usize,
    },
    /// It worked longer than it may.
    #[error("the query was ended after {} s: ask for one symbol (WHERE symbol = …) or a shorter time", limit.as_secs())]
    TooSlow {
        /// How long it may work.
        limit: Duration,
    },
    /// It held more than it may.
    #[error("the query needs more than {} MB at once: ask for one symbol or a shorter time, group by fewer values, or make shorter texts", limit >> 20)]
    TooLarge {
        /// How many bytes it may hold.
        limit: usize,
    },
    /// One of its rows is longer than an answer may have.
    #[error("a row of the answer has {} MB, at most {} are taken: select fewer columns, or shorten texts with left(…, 1000)", size >> 20, most >> 20)]
    TooWide {
        /// Its size in bytes.
        size: usize,
        /// The longest row, in bytes.
        most: usize,
    },
    /// It nests deeper than there is room for.
    #[error("the query nests too deeply: write it flatter, with fewer brackets and subselects")]
    TooDeep,
    /// Others are being answered.
    #[error("{at_once} queries are being answered already: try again once one has ended")]
    Busy {
        /// How many may run.
        at_once: usize,
    },
    /// The store failed, in its words.
    #[error("{0}")]
    Store(String),
    /// It brought its thread or process down, or there was none.
    #[error("the query ended by a fault of the program: ask in another way, and report it with its text")]
    Crashed,
}

/// A place in the text of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The line, from 1 on.
    pub line: usize,
    /// The character in the line, from 1 on.
    pub column: usize,
    /// The line itself.
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

    /// The line with a mark under the place, cut to what fits on a screen.
    fn shown(&self) -> String {
        const AROUND: usize = 60;
        let from = self.column.saturating_sub(AROUND);
        let part: String = self.text.chars().skip(from).take(2 * AROUND).collect();
        format!("\n  {part}\n  {}^", " ".repeat(self.column - 1 - from.min(self.column - 1)))
    }
}

impl ExploreError {
    /// The store's error as ours.
    pub(crate) fn of_store(error: &StoreError, memory: usize) -> ExploreError {
        let words = error.to_string();
        match error {
            StoreError::Sqlite { source, .. } if source.to_string().contains("out of memory") => {
                ExploreError::TooLarge { limit: memory }
            }
            _ => ExploreError::Store(words),
        }
    }

    /// DataFusion's error as ours.
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

/// Where an error says that it stands: in its diagnostic, else in the parser's words.
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

/// The message without what is said of the program's inside.
fn message_of(error: &DataFusionError) -> String {
    let words = match error {
        DataFusionError::SQL(parser, _) => parser.to_string(),
        other => other.strip_backtrace(),
    };
    let words = words.split("\nThis issue was likely caused").next().unwrap_or_default();
    let words = words.rsplit_once(" at Line: ").map_or(words, |(message, _)| message);
    let bare = KINDS.iter().find_map(|kind| words.strip_prefix(kind)).unwrap_or(words);
    in_our_words(bare).unwrap_or_else(|| bare.trim_end_matches('.').to_owned())
}

/// What DataFusion says for those who program with it, said for those who ask.
fn in_our_words(words: &str) -> Option<String> {
    if let Some(function) = words.strip_prefix("Invalid function '").and_then(|rest| rest.split('\'').next())
    {
        let nearest = words.split("Did you mean '").nth(1).and_then(|rest| rest.split('\'').next());
        let nearest = nearest.map(|name| format!("; the nearest is `{name}`")).unwrap_or_default();
        return Some(format!(
            "there is no function `{function}` here{nearest}. SHOW FUNCTIONS lists those that there are"
        ));
    }
    if words.starts_with("Unary operator '-' only supports signed") {
        return Some("there is no minus sign for an unsigned number, as a rank is: write 0 - …".to_owned());
    }
    if let Some((_, what)) = words.split_once("Overflow happened on: ") {
        return Some(format!(
            "{} does not fit into a whole number of 64 bits: CAST(… AS DOUBLE) computes with fractions",
            what.trim_end_matches('.')
        ));
    }
    None
}

/// What stands before a message and says nothing to whoever wrote the query.
const KINDS: [&str; 5] =
    ["sql parser error: ", "Error during planning: ", "Schema error: ", "Execution error: ", "Arrow error: "];
