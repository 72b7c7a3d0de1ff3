//! Read-only SQL over the stored measurements, planned and executed by DataFusion within limits
//! of time, rows and memory.
//!
//! An [`Explorer`] starts queries, an [`Answer`] reads their results in parts, and the checks
//! at the end of the file reject every statement that is not read-only.

mod apart;
mod checked;
mod error;
mod functions;
mod run;
mod table;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{self, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use model::schema::{Column, Value};
use serde::{Deserialize, Serialize};
use store::SharedStore;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use apart::KillOnDrop;
use run::{Part, Parts};

pub use apart::{Apart, Asked};
pub use error::{ExploreError, Place};

/// The limits of a query.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// How long it may run, without the time in which its reader does not read.
    pub time: Duration,
    /// The maximum number of rows, beyond which the answer is cut; `None` is unlimited.
    pub rows: Option<usize>,
    /// The maximum size of all rows in bytes, beyond which the answer is cut; `None` is
    /// unlimited.
    pub bytes: Option<usize>,
    /// The maximum memory in bytes. DataFusion's sorts, joins and groups may use three quarters
    /// of it and fail with an error that says so; a query process is killed when its total
    /// memory reaches the limit.
    pub memory: usize,
    /// The maximum number of concurrent queries; further ones are rejected.
    pub at_once: usize,
}

/// Runs queries over a store.
#[derive(Clone)]
pub struct Explorer {
    mode: Mode,
    limits: Limits,
    free: Arc<Semaphore>,
}

/// Where queries run.
#[derive(Clone)]
enum Mode {
    /// On a thread of this process, sharing its memory.
    InProcess(SharedStore),
    /// Each in a process of its own.
    Subprocess(Arc<Apart>),
}

impl Explorer {
    /// An explorer that runs queries in this process; meant for a process that does nothing
    /// else. All clones share the limit of concurrent queries.
    pub fn new(store: SharedStore, limits: Limits) -> Explorer {
        Explorer::with(Mode::InProcess(store), limits)
    }

    /// An explorer that runs each query in a process of its own.
    pub fn apart(apart: Apart, limits: Limits) -> Explorer {
        Explorer::with(Mode::Subprocess(Arc::new(apart)), limits)
    }

    fn with(mode: Mode, limits: Limits) -> Explorer {
        Explorer { mode, limits, free: Arc::new(Semaphore::new(limits.at_once)) }
    }

    /// Plans and starts one statement: a query, EXPLAIN, SHOW or DESCRIBE. Every measurement is
    /// a table of the same name. Dropping the answer ends the query.
    ///
    /// # Errors
    /// When the statement is of another kind or invalid, when a limit is reached, or when the
    /// store cannot be read.
    pub async fn query(&self, sql: &str) -> Result<Answer, ExploreError> {
        self.ask(sql, self.limits).await
    }

    /// As [`Explorer::query`], but with at most `rows` rows of at most `bytes` bytes.
    ///
    /// # Errors
    /// As for [`Explorer::query`].
    pub async fn first(&self, sql: &str, rows: usize, bytes: usize) -> Result<Answer, ExploreError> {
        let (rows, bytes) = (
            self.limits.rows.map_or(rows, |limit| limit.min(rows)),
            self.limits.bytes.map_or(bytes, |limit| limit.min(bytes)),
        );
        self.ask(sql, Limits { rows: Some(rows), bytes: Some(bytes), ..self.limits }).await
    }

    async fn ask(&self, sql: &str, limits: Limits) -> Result<Answer, ExploreError> {
        let permit = Arc::clone(&self.free).try_acquire_owned();
        let permit = permit.map_err(|_| ExploreError::Busy { at_once: self.limits.at_once })?;
        check_length(sql)?;
        let store = match &self.mode {
            Mode::Subprocess(apart) => {
                let (parts, process) = apart::start(apart, sql, limits, permit)?;
                return Answer::begin(parts, Some(process), limits).await;
            }
            Mode::InProcess(store) => store,
        };
        let measurements = store.measurements().await;
        let measurements = measurements.map_err(|error| ExploreError::of_store(&error, limits.memory))?;
        let asked = run::Asked {
            sql: sql.to_owned(),
            measurements,
            store: Arc::clone(store),
            reading: Handle::current(),
            limits,
        };
        Answer::begin(run::start(asked, permit)?, None, limits).await
    }
}

/// The answer to a query, read in parts. Dropping it ends the query.
pub struct Answer {
    columns: Vec<Column>,
    parts: Parts,
    limit: Duration,
    /// The total time spent waiting for parts.
    waited: Duration,
    cut: bool,
    /// The query process, if there is one; dropping it kills the process.
    _process: Option<KillOnDrop>,
}

impl Answer {
    /// Waits until the query is planned.
    pub(crate) async fn begin(
        parts: Parts,
        process: Option<KillOnDrop>,
        limits: Limits,
    ) -> Result<Answer, ExploreError> {
        let mut answer = Answer {
            columns: Vec::new(),
            parts,
            limit: limits.time,
            waited: Duration::ZERO,
            cut: false,
            _process: process,
        };
        match answer.part().await? {
            Part::Columns(columns) => Ok(Answer { columns, ..answer }),
            Part::Rows(_) | Part::End { .. } => Err(ExploreError::Crashed),
        }
    }

    /// The columns as the first part of an answer, to be forwarded.
    pub(crate) fn columns_part(&self) -> Part {
        Part::Columns(self.columns.clone())
    }

    /// The columns of the rows; their names are unique.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// When the query fails or reaches a limit; the answer has ended then.
    pub async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>, ExploreError> {
        match self.part().await? {
            Part::Rows(rows) => Ok(Some(rows)),
            Part::End { cut } => {
                self.cut = cut;
                Ok(None)
            }
            Part::Columns(_) => Err(ExploreError::Crashed),
        }
    }

    /// All remaining rows.
    ///
    /// # Errors
    /// As for [`Answer::next`].
    pub async fn all(&mut self) -> Result<Vec<Vec<Value>>, ExploreError> {
        let mut all = Vec::new();
        while let Some(rows) = self.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }

    /// Whether rows beyond the limits were left out; known once all rows have been read.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    pub(crate) async fn part(&mut self) -> Result<Part, ExploreError> {
        let began = Instant::now();
        let part = tokio::time::timeout(self.limit.saturating_sub(self.waited), self.parts.recv()).await;
        self.waited += began.elapsed();
        match part {
            Ok(Some(part)) => part,
            Ok(None) => Err(ExploreError::Crashed),
            Err(_) => Err(ExploreError::TooSlow { limit: self.limit }),
        }
    }
}

// The checks of a statement: one that only reads, verified after parsing and again after
// planning.

/// The maximum number of tokens: deeper nesting than these allow would exceed the stack of the
/// query's thread.
const MOST_TOKENS: usize = 2_000;

/// Rejects a text that is too long before it is parsed.
pub(crate) fn check_length(sql: &str) -> Result<(), ExploreError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    // A text that cannot be tokenized is rejected by the parser, which reports the position.
    let is_word = |token: &&Token| !matches!(token, Token::Whitespace(_));
    let words = tokens.map(|tokens| tokens.iter().filter(is_word).count()).unwrap_or(0);
    let words = words.max(sql.len() / 64);
    if words > MOST_TOKENS { Err(ExploreError::TooLong { words, most: MOST_TOKENS }) } else { Ok(()) }
}

/// Parses a text that must be one read-only statement.
pub(crate) fn statement(sql: &str, memory: usize) -> Result<Statement, ExploreError> {
    let parsed = DFParserBuilder::new(sql).build().and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| ExploreError::of(error, sql, memory))?;
    match (statements.pop_front(), statements.len()) {
        (Some(mut statement), 0) => match refused(&statement) {
            None => {
                name_subselects(&mut statement);
                Ok(statement)
            }
            Some(found) => Err(ExploreError::NotReadOnly { found }),
        },
        (Some(_), more) => {
            Err(ExploreError::NotReadOnly { found: format!("a text of {} statements", more + 1) })
        }
        (None, _) => Err(ExploreError::NotReadOnly { found: "an empty text".into() }),
    }
}

/// Gives every unnamed subselect in FROM a name. DataFusion 55.2 confuses two projections that
/// are written alike and directly nested (`SELECT x + 1 AS x FROM (SELECT x + 1 AS x …)`) and
/// computes only one of them (apache/datafusion#24686). Names prevent this.
fn name_subselects(statement: &mut Statement) {
    match statement {
        Statement::Explain(explain) => name_subselects(&mut explain.statement),
        Statement::Statement(statement) => {
            let _ = statement.visit(&mut Names { given: 0 });
        }
        _ => {}
    }
}

struct Names {
    given: usize,
}

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut ast::TableFactor) -> ControlFlow<()> {
        if let ast::TableFactor::Derived { alias: alias @ None, .. } = factor {
            self.given += 1;
            let name = ast::Ident::new(format!("_subselect_{}", self.given));
            *alias = Some(ast::TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        ControlFlow::Continue(())
    }
}

/// The kind of a statement that is not read-only; `None` if it is.
fn refused(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Explain(explain) => refused(&explain.statement),
        Statement::Statement(statement) => match statement.as_ref() {
            ast::Statement::Query(_)
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ExplainTable { .. } => None,
            ast::Statement::Explain { statement, .. } => refused(&Statement::Statement(statement.clone())),
            other => Some(first_words(&other.to_string())),
        },
        other => Some(first_words(&other.to_string())),
    }
}

/// The keywords that begin a statement, such as `CREATE EXTERNAL TABLE`.
fn first_words(statement: &str) -> String {
    let capitals = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase());
    let words: Vec<_> = statement.split_whitespace().take_while(capitals).take(3).collect();
    match words.as_slice() {
        [] => "this statement".into(),
        words => words.join(" "),
    }
}

/// Rejects a plan that would change data or settings.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), ExploreError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|error| ExploreError::NotReadOnly { found: error.strip_backtrace() })
}
