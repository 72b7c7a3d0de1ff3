//! Recognizes a rolling job by its SQL, after it was split at its window.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query,
    Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
};
use model::schema::ColumnType;
use model::{AssetClass, Topic};

use super::measures::Measure;
use super::{Rolling, Shown};
use crate::job::Job;
use crate::sql::{SourceTable, WindowedQuery, end_column, start_column};

/// The column with the start of a bar, and the expression of the event time.
const START: &str = "start_timestamp";
const EVENT_TIME: &str = "arrow_cast(start_timestamp * 1000000, 'Timestamp(Nanosecond, None)')";
const SYMBOL: &str = "symbol";
/// The column that orders the versions of a bar.
const RECEIVED: &str = "received_timestamp";

impl Rolling {
    /// The rolling job of `job`, if it selects columns of one window over bars by symbol, and
    /// each column is a known measure whose arguments have the names that its UDF declares.
    pub fn of(job: &Job) -> Option<Rolling> {
        let ([source], [windowed]) = (job.sources.as_slice(), job.windows.as_slice()) else { return None };
        let holds_bars = AssetClass::of_topic(&Topic::new(source.topic.as_str())).is_some();
        if !holds_bars || !is_by_start(source) {
            return None;
        }
        let under = under_the_window(&windowed.select, &source.name)?;
        let chosen = chosen(&job.query, &windowed.table)?;
        let shown =
            chosen.iter().map(|chosen| shown(chosen, windowed, &under)).collect::<Option<Vec<Shown>>>()?;
        let fits = |(shown, column): (&Shown, &model::schema::Column)| shown.kind() == column.kind;
        let whole = shown.len() == job.columns.len() && shown.iter().zip(&job.columns).all(fits);
        let keyed = job
            .columns
            .iter()
            .zip(&shown)
            .any(|(column, shown)| column.name == job.key && *shown == Shown::Symbol);
        (whole && keyed).then_some(Rolling { hop: windowed.hop, shown })
    }
}

impl Shown {
    fn kind(self) -> ColumnType {
        match self {
            Shown::Symbol => ColumnType::Text,
            Shown::WindowStart | Shown::WindowEnd => ColumnType::Time,
            Shown::Measure(measure) => measure.kind(),
        }
    }
}

/// Whether the event time is the start of the bar.
fn is_by_start(source: &SourceTable) -> bool {
    source
        .generated
        .iter()
        .any(|(name, expression)| *name == source.watermark.column && expression.to_string() == EVENT_TIME)
}

/// The content of each name in the windowed query: the symbol or a measure.
fn under_the_window(select: &Select, source: &str) -> Option<Vec<(String, Shown)>> {
    let plain = Select {
        projection: Vec::new(),
        from: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        ..select.clone()
    };
    let by_symbol = matches!(
        &select.group_by,
        GroupByExpr::Expressions(keys, modifiers) if modifiers.is_empty() && matches!(keys.as_slice(), [key] if is(key, SYMBOL))
    );
    if !by_symbol || plain.to_string() != "SELECT" || table(select)? != source {
        return None;
    }
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expression) if is(expression, SYMBOL) => {
                Some((SYMBOL.to_owned(), Shown::Symbol))
            }
            SelectItem::ExprWithAlias { expr, alias } if is(expr, SYMBOL) => {
                Some((alias.value.clone(), Shown::Symbol))
            }
            SelectItem::ExprWithAlias { expr: Expr::Function(function), alias } => {
                Some((alias.value.clone(), Shown::Measure(measure(function)?)))
            }
            _ => None,
        })
        .collect()
}

/// A column that the outer query selects: a name, or a name with epoch ms cast to a timestamp.
struct Chosen {
    name: String,
    as_time: bool,
}

impl Chosen {
    fn of(expression: &Expr) -> Option<Chosen> {
        if let Expr::Identifier(name) = expression {
            return Some(Chosen { name: name.value.clone(), as_time: false });
        }
        let text = expression.to_string();
        let name =
            text.strip_prefix("arrow_cast(")?.strip_suffix(" * 1000000, 'Timestamp(Nanosecond, None)')")?;
        let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        is_name.then(|| Chosen { name: name.to_owned(), as_time: true })
    }
}

fn chosen(query: &Query, windowed: &str) -> Option<Vec<Chosen>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let plain = Query {
        body: Box::new(SetExpr::Select(Box::new(Select {
            projection: Vec::new(),
            from: Vec::new(),
            ..(**select).clone()
        }))),
        ..query.clone()
    };
    if plain.to_string() != "SELECT" {
        return None;
    }
    let whole = format!("SELECT * FROM {windowed}");
    match select.from.as_slice() {
        [TableWithJoins { relation: TableFactor::Derived { subquery, lateral: false, .. }, joins }]
            if joins.is_empty() && subquery.to_string() == whole => {}
        _ => return None,
    }
    let chosen = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expression) => Chosen::of(expression),
        _ => None,
    };
    select.projection.iter().map(chosen).collect()
}

fn shown(chosen: &Chosen, windowed: &WindowedQuery, under: &[(String, Shown)]) -> Option<Shown> {
    let Chosen { name, as_time } = chosen;
    if *as_time {
        let shown = under.iter().find(|(known, _)| known == name).map(|(_, shown)| *shown);
        return shown.filter(|shown| *shown == Shown::Measure(Measure::ReceivedUntil));
    }
    if *name == start_column(&windowed.alias) {
        return Some(Shown::WindowStart);
    }
    if *name == end_column(&windowed.alias) {
        return Some(Shown::WindowEnd);
    }
    let shown = under.iter().find(|(known, _)| known == name).map(|(_, shown)| *shown);
    shown.filter(|shown| *shown != Shown::Measure(Measure::ReceivedUntil))
}

/// The measure that a call computes, if each argument is the column of the same name.
fn measure(call: &Function) -> Option<Measure> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let bare = Function { args: FunctionArguments::None, ..call.clone() };
    let name = call.name.to_string();
    if bare.to_string() != name || !list.clauses.is_empty() {
        return None;
    }
    let given = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) => Some(name.value.as_str()),
        _ => None,
    });
    let given: Vec<&str> = given.collect::<Option<_>>()?;
    if name.eq_ignore_ascii_case("count") {
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        return (distinct && given == [START]).then_some(Measure::Bars);
    }
    if name.eq_ignore_ascii_case("max") {
        let plain = list.duplicate_treatment.is_none();
        return (plain && given == [RECEIVED]).then_some(Measure::ReceivedUntil);
    }
    let udf = udfs::all().iter().find(|udf| udf.name == name)?;
    let named = udf.arguments.iter().map(|argument| argument.name).eq(given);
    (named && list.duplicate_treatment.is_none()).then(|| Measure::named(&name)).flatten()
}

fn is(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::Identifier(found) if found.value == name)
}

/// The single table of the FROM clause.
fn table(select: &Select) -> Option<String> {
    match select.from.as_slice() {
        [TableWithJoins { relation: relation @ TableFactor::Table { alias: None, .. }, joins }]
            if joins.is_empty() =>
        {
            Some(relation.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    fn of(change: impl Fn(&str) -> String) -> Option<Rolling> {
        let files: Vec<(&str, String)> = sql::FILES
            .iter()
            .filter(|(file, _)| matches!(*file, sql::TABLES | "volatility"))
            .map(|(file, text)| (*file, if *file == sql::TABLES { (*text).to_owned() } else { change(text) }))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        Rolling::of(&Job::read(&files).unwrap()[0])
    }

    #[test]
    fn volatility_is_recognized_and_its_sql_says_the_window_and_the_columns() {
        let as_it_stands = of(str::to_owned).unwrap();
        assert_eq!(as_it_stands.shown.len(), 15);
        assert_eq!(as_it_stands.hop, Job::named("volatility").unwrap().window.unwrap());
        let longer = of(|text| text.replace("'30 minutes'", "'390 minutes'")).unwrap();
        assert_eq!(longer.hop.size, 390 * model::time::MINUTE);
    }

    #[test]
    fn every_measure_that_is_known_has_a_udf() {
        let known = udfs::all().iter().filter(|udf| Measure::named(udf.name).is_some()).count();
        assert_eq!(known, 10);
    }

    #[test]
    fn other_forms_take_the_general_way() {
        for (from, to) in [
            ("FROM stock_prices", "FROM stock_prices WHERE volume > 0"),
            ("GROUP BY symbol, window", "GROUP BY symbol, otc, window"),
            ("received_timestamp, close) AS realized", "received_timestamp, open) AS realized"),
            ("count(DISTINCT start_timestamp)", "count(start_timestamp)"),
            ("count(DISTINCT start_timestamp)", "count(DISTINCT received_timestamp)"),
            ("max(received_timestamp)", "min(received_timestamp)"),
            ("max(received_timestamp)", "max(start_timestamp)"),
            ("arrow_cast(received_until * 1000000,", "arrow_cast(received_until * 1000,"),
            (
                "realized(start_timestamp, received_timestamp, close)",
                "last_close(start_timestamp, received_timestamp, close)",
            ),
            ("    jump_share,\n", "    jump_share * 2,\n"),
            (");\n", ") WHERE bars > 1;\n"),
        ] {
            assert!(
                of(|text| {
                    let at = text.rfind(from).unwrap();
                    let changed = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
                    assert_ne!(changed, text);
                    changed
                })
                .is_none(),
                "{to}"
            );
        }
        for name in ["movers", "news_impact", "news_reaction", "signals"] {
            assert!(Rolling::of(&Job::named(name).unwrap()).is_none(), "{name}");
        }
    }
}
