//! Splits a query at its hop windows.
//!
//! `hop()` assigns a row to several windows, so DataFusion cannot evaluate it as a function.
//! Each `SELECT … hop(slide, size) AS window … GROUP BY …, window` is replaced by a table of
//! its results, in which the window has two columns, `window__start` and `window__end`.
//! References to the window in the rest of the query are rewritten: `window.start` is the first
//! column. A bare `window` is the start where it is compared or partitioned by (windows of one
//! size are equal if their starts are), and both columns where it is selected.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Query, Select, SelectItem,
    SetExpr, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use model::time::Millis;

use super::interval_millis;
use crate::error::EngineError;
use crate::job::Hop;

/// An aggregation under a hop window, removed from its query.
#[derive(Clone, Debug)]
pub(crate) struct WindowedQuery {
    /// The name of the table that replaces it.
    pub(crate) table: String,
    /// The aggregation without the window.
    pub(crate) select: Select,
    /// The hop window.
    pub(crate) hop: Hop,
    /// The index of the window in the list of selected columns.
    pub(crate) window_at: usize,
    /// The alias of the window in the query.
    pub(crate) alias: String,
}

const START: &str = "__start";
const END: &str = "__end";

/// The name of the column with the start of the window `alias`.
pub(crate) fn start_column(alias: &str) -> String {
    format!("{alias}{START}")
}

/// The name of the column with the end of the window `alias`.
pub(crate) fn end_column(alias: &str) -> String {
    format!("{alias}{END}")
}

/// Removes every windowed aggregation from `query`, and rewrites the references to their
/// windows.
pub(crate) fn pull_out_windows(file: &str, query: &mut Query) -> Result<Vec<WindowedQuery>, EngineError> {
    let mut pull_out = PullOut { file, found: Vec::new() };
    if let ControlFlow::Break(error) = query.visit(&mut pull_out) {
        return Err(error);
    }
    let mut names = Names { windows: pull_out.found.iter().map(|found| found.alias.clone()).collect() };
    let _ = query.visit(&mut SelectBoth { names: &mut names });
    let _ = query.visit(&mut names);
    Ok(pull_out.found)
}

struct PullOut<'a> {
    file: &'a str,
    found: Vec<WindowedQuery>,
}

impl VisitorMut for PullOut<'_> {
    type Break = EngineError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<EngineError> {
        let SetExpr::Select(select) = query.body.as_ref() else { return ControlFlow::Continue(()) };
        let table = format!("windowed_{}", self.found.len());
        match take_window(self.file, select, &table) {
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
            Ok(Some(windowed)) => {
                self.found.push(windowed);
                *query.body = *select_all(&table);
            }
        }
        ControlFlow::Continue(())
    }
}

fn select_all(table: &str) -> Box<SetExpr> {
    Parser::new(&GenericDialect {})
        .try_with_sql(&format!("SELECT * FROM {table}"))
        .and_then(|mut parser| parser.parse_query())
        .map(|query| query.body)
        .unwrap_or_else(|_| unreachable!("a plain SELECT * parses"))
}

fn take_window(file: &str, select: &Select, table: &str) -> Result<Option<WindowedQuery>, EngineError> {
    let unsupported = |reason: String| EngineError::unsupported(file, reason);
    let Some((window_at, function, alias)) =
        select.projection.iter().enumerate().find_map(|(at, item)| match item {
            SelectItem::ExprWithAlias { expr: Expr::Function(function), alias }
                if matches!(function.name.to_string().to_lowercase().as_str(), "hop" | "tumble") =>
            {
                Some((at, function, alias))
            }
            _ => None,
        })
    else {
        return Ok(None);
    };
    let intervals = interval_arguments(&function.args).map_err(&unsupported)?;
    let hop = match (function.name.to_string().to_lowercase().as_str(), intervals.as_slice()) {
        ("hop", &[slide, size]) => Hop { size, slide },
        ("tumble", &[size]) => Hop { size, slide: size },
        _ => return Err(unsupported(format!("`{function}` takes hop(slide, size) or tumble(size)"))),
    };
    if hop.slide <= 0 || hop.size % hop.slide != 0 {
        return Err(unsupported(format!("`{function}`: the size must be a multiple of the slide")));
    }
    let GroupByExpr::Expressions(keys, modifiers) = &select.group_by else {
        return Err(unsupported("a windowed query needs GROUP BY …, window".into()));
    };
    let is_window = |key: &Expr| matches!(key, Expr::Identifier(name) if name.value == alias.value);
    if !keys.iter().any(is_window) {
        return Err(unsupported(format!("`{function}`: GROUP BY must name `{alias}`")));
    }
    let mut select = select.clone();
    select.group_by = GroupByExpr::Expressions(
        keys.iter().filter(|key| !is_window(key)).cloned().collect(),
        modifiers.clone(),
    );
    select.projection.remove(window_at);
    Ok(Some(WindowedQuery { table: table.to_owned(), select, hop, window_at, alias: alias.value.clone() }))
}

fn interval_arguments(arguments: &FunctionArguments) -> Result<Vec<Millis>, String> {
    let FunctionArguments::List(list) = arguments else { return Ok(Vec::new()) };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Interval(interval))) => {
                interval_millis(interval)
            }
            other => Err(format!("`{other}` is not an interval, as in INTERVAL '1 minute'")),
        })
        .collect()
}

/// The aliases of windows in the rest of the query.
struct Names {
    windows: BTreeSet<String>,
}

impl Names {
    /// The window that a bare reference names, with the table in front of it, if any.
    fn window<'a>(&self, expression: &'a Expr) -> Option<(&'a [Ident], &'a str)> {
        let parts = match expression {
            Expr::Identifier(name) => std::slice::from_ref(name),
            Expr::CompoundIdentifier(parts) => parts.as_slice(),
            _ => return None,
        };
        let (last, before) = parts.split_last()?;
        self.windows.contains(&last.value).then_some((before, last.value.as_str()))
    }
}

fn column(before: &[Ident], name: String) -> Expr {
    if before.is_empty() {
        Expr::Identifier(Ident::new(name))
    } else {
        Expr::CompoundIdentifier(before.iter().cloned().chain([Ident::new(name)]).collect())
    }
}

/// Selects or groups by both columns where a window is named as a whole. Inner queries are
/// visited first, so that outer ones know the new names.
struct SelectBoth<'a> {
    names: &'a mut Names,
}

impl SelectBoth<'_> {
    /// Both columns of the window that `expression` names, with the alias of the window.
    fn both(&self, expression: &Expr) -> Option<(String, [(Expr, &'static str); 2])> {
        let (before, alias) = self.names.window(expression)?;
        let end = |suffix: &'static str| (column(before, format!("{alias}{suffix}")), suffix);
        Some((alias.to_owned(), [end(START), end(END)]))
    }
}

impl VisitorMut for SelectBoth<'_> {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_mut() else { return ControlFlow::Continue(()) };
        let mut selected = Vec::new();
        for item in std::mem::take(&mut select.projection) {
            let (expression, alias) = match &item {
                SelectItem::UnnamedExpr(expression) => (expression, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value.clone())),
                _ => {
                    selected.push(item);
                    continue;
                }
            };
            let Some((window, both)) = self.both(expression) else {
                selected.push(item);
                continue;
            };
            let name = alias.as_ref().unwrap_or(&window);
            for (expr, suffix) in both {
                let alias = Ident::new(format!("{name}{suffix}"));
                selected.push(SelectItem::ExprWithAlias { expr, alias });
            }
            self.names.windows.extend(alias);
        }
        select.projection = selected;
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            *keys = std::mem::take(keys)
                .into_iter()
                .flat_map(|key| match self.both(&key) {
                    Some((_, both)) => both.map(|(expr, _)| expr).to_vec(),
                    None => vec![key],
                })
                .collect();
        }
        ControlFlow::Continue(())
    }
}

impl VisitorMut for Names {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some((before, alias)) = self.window(expression) {
            *expression = column(before, start_column(alias));
        } else if let Expr::CompoundIdentifier(parts) = expression
            && let [before @ .., window, end] = parts.as_slice()
            && self.windows.contains(&window.value)
        {
            *expression = match end.value.as_str() {
                "start" => column(before, start_column(&window.value)),
                "end" => column(before, end_column(&window.value)),
                _ => return ControlFlow::Continue(()),
            };
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::MINUTE;

    fn cut(sql: &str) -> Result<(String, Vec<WindowedQuery>), EngineError> {
        let mut query = *Parser::new(&GenericDialect {}).try_with_sql(sql).unwrap().parse_query().unwrap();
        let found = pull_out_windows("test", &mut query)?;
        Ok((query.to_string(), found))
    }

    #[test]
    fn a_windowed_aggregation_becomes_a_table_with_two_columns_for_its_window() {
        let (rest, found) = cut("SELECT symbol, window.start, window.end, n FROM (
               SELECT symbol, hop(INTERVAL '1 minute', INTERVAL '30 minutes') AS window, count(*) AS n
               FROM stock_prices GROUP BY symbol, window) WHERE n > 0")
        .unwrap();
        assert_eq!(
            rest,
            "SELECT symbol, window__start, window__end, n FROM (SELECT * FROM windowed_0) WHERE n > 0"
        );
        assert_eq!(
            found[0].select.to_string(),
            "SELECT symbol, count(*) AS n FROM stock_prices GROUP BY symbol"
        );
        assert_eq!((found[0].hop, found[0].window_at), (Hop { size: 30 * MINUTE, slide: MINUTE }, 1));
    }

    #[test]
    fn windows_are_joined_and_ranked_by_their_start() {
        let windowed = "SELECT symbol, tumble(INTERVAL '1 hour') AS window, count(*) AS n FROM t GROUP BY symbol, window";
        let (rest, found) = cut(&format!(
            "SELECT p.symbol, p.window AS w, row_number() OVER (PARTITION BY p.window ORDER BY p.n) FROM ({windowed}) p
             LEFT JOIN ({windowed}) n ON p.symbol = n.symbol AND p.window = n.window"
        ))
        .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            rest,
            "SELECT p.symbol, p.window__start AS w__start, p.window__end AS w__end, \
             row_number() OVER (PARTITION BY p.window__start ORDER BY p.n) FROM (SELECT * FROM windowed_0) p \
             LEFT JOIN (SELECT * FROM windowed_1) n ON p.symbol = n.symbol AND p.window__start = n.window__start"
        );
    }

    #[test]
    fn what_no_engine_could_run_is_refused_with_the_reason() {
        for (window, reason) in [
            ("hop(INTERVAL '7 minutes', INTERVAL '30 minutes')", "multiple of the slide"),
            ("hop(INTERVAL '1 fortnight', INTERVAL '30 minutes')", "is not an interval"),
            ("hop(INTERVAL '1 minute')", "takes hop(slide, size)"),
            ("hop(1, 2)", "is not an interval"),
        ] {
            let sql = format!("SELECT {window} AS window, count(*) FROM t GROUP BY window");
            let error = cut(&sql).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let error = cut("SELECT hop(INTERVAL '1 minute', INTERVAL '2 minutes') AS window FROM t GROUP BY a")
            .unwrap_err();
        assert!(error.to_string().contains("must name `window`"));
    }
}
