//! Read-only SQL over the stored measurements, planned and run by DataFusion
//! within limits of time, rows and memory.

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

use apart::Killer;
use run::{Part, Parts};

pub use apart::{Apart, Asked};
pub use error::{ExploreError, Place};

/// What a query may take before it is ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// How long it may work; the time that its reader takes does not count.
    pub time: Duration,
    /// The most rows that it gives, further ones are cut off; `None` is all.
    pub rows: Option<usize>,
    /// The most bytes that its rows have together, further rows are cut off; `None` is all.
    pub bytes: Option<usize>,
    /// The most bytes that it may hold. Its sorts, joins and groups are counted and
    /// stop at three quarters of it, with an error that says so; a process of its own
    /// is ended where everything together reaches it.
    pub memory: usize,
    /// So many queries at once; a further one is refused.
    pub at_once: usize,
}

/// Runs queries over a store.
#[derive(Clone)]
pub struct Explorer {
    way: Way,
    limits: Limits,
    free: Arc<Semaphore>,
}

/// Where queries are answered.
#[derive(Clone)]
enum Way {
    /// By a thread of this process, whose memory they can take.
    Here(SharedStore),
    /// By a process each.
    Apart(Arc<Apart>),
}

impl Explorer {
    /// An explorer of `store` in this process: for a process that does nothing else.
    /// All its clones share the limit of queries at once.
    pub fn new(store: SharedStore, limits: Limits) -> Explorer {
        Explorer::with(Way::Here(store), limits)
    }

    /// An explorer that answers each query in a process of its own.
    pub fn apart(apart: Apart, limits: Limits) -> Explorer {
        Explorer::with(Way::Apart(Arc::new(apart)), limits)
    }

    fn with(way: Way, limits: Limits) -> Explorer {
        Explorer { way, limits, free: Arc::new(Semaphore::new(limits.at_once)) }
    }

    /// Plans and starts one statement: a query, EXPLAIN, SHOW or DESCRIBE. Every
    /// measurement is a table under its name. The answer ends where it is dropped.
    ///
    /// # Errors
    /// When the statement is none of these or does not plan, when a limit is
    /// reached or the store cannot be read.
    pub async fn query(&self, sql: &str) -> Result<Answer, ExploreError> {
        self.ask(sql, self.limits).await
    }

    /// The first rows of [`Explorer::query`]: at most so many, of at most so many bytes.
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
        let place = Arc::clone(&self.free).try_acquire_owned();
        let place = place.map_err(|_| ExploreError::Busy { at_once: self.limits.at_once })?;
        check_length(sql)?;
        let store = match &self.way {
            Way::Apart(apart) => {
                let (parts, process) = apart::start(apart, sql, limits, place)?;
                return Answer::begin(parts, Some(process), limits).await;
            }
            Way::Here(store) => store,
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
        Answer::begin(run::start(asked, place)?, None, limits).await
    }
}

// The answer to a query, read part by part.

/// The rows of a query as they come. Dropped, it ends the query.
pub struct Answer {
    columns: Vec<Column>,
    parts: Parts,
    limit: Duration,
    /// How long was waited for parts.
    waited: Duration,
    cut: bool,
    /// The process that answers, where there is one.
    _process: Option<Killer>,
}

impl Answer {
    /// Waits until the query is planned.
    pub(crate) async fn begin(
        parts: Parts,
        process: Option<Killer>,
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

    /// The columns as the first part of an answer, to be handed on.
    pub(crate) fn columns_part(&self) -> Part {
        Part::Columns(self.columns.clone())
    }

    /// The columns of the rows, with a name each that no other has.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next rows; none when all have been given.
    ///
    /// # Errors
    /// When the query fails or reaches a limit; nothing follows then.
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

    /// Every row that is left.
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

    /// Whether there would have been more rows than the limit; known at the end.
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

// What may be asked: one statement that reads, checked as it is written and
// again as it is planned.

/// The most words and signs: what nests deeper would take more stack than the
/// thread of a query has.
const LONGEST: usize = 2_000;

/// Refuses what is too long before anything looks at its structure.
pub(crate) fn check_length(sql: &str) -> Result<(), ExploreError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    // What has no tokens is refused by the parser, which says where.
    let is_word = |token: &&Token| !matches!(token, Token::Whitespace(_));
    let words = tokens.map(|tokens| tokens.iter().filter(is_word).count()).unwrap_or(0);
    let words = words.max(sql.len() / 64);
    if words > LONGEST { Err(ExploreError::TooLong { words, most: LONGEST }) } else { Ok(()) }
}

/// The one statement of a text, if it only reads.
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

/// Gives every subselect in FROM that has no name one of its own. DataFusion 55.2
/// takes two projections for one where they are written alike and stand directly on
/// each other (`SELECT x + 1 AS x FROM (SELECT x + 1 AS x …)`), and then computes once
/// what was to be computed twice (apache/datafusion#24686). Named, they never do.
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

/// What a statement is, unless it only reads.
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

/// `CREATE EXTERNAL TABLE …` for a statement that begins so.
fn first_words(statement: &str) -> String {
    let capitals = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase());
    let words: Vec<_> = statement.split_whitespace().take_while(capitals).take(3).collect();
    match words.as_slice() {
        [] => "this statement".into(),
        words => words.join(" "),
    }
}

/// Refuses a plan that would change or reach anything but the tables given.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), ExploreError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|error| ExploreError::NotReadOnly { found: error.strip_backtrace() })
}
