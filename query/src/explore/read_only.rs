//! What may be asked: one statement that reads, checked as it is written and
//! again as it is planned.

use std::ops::ControlFlow;

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{self, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::explore::error::ExploreError;

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
