//! Which functions a question may use: a list of names, so that a function that a
//! new version of DataFusion brings is refused until somebody has looked at it.
//!
//! Left out are those that make long texts or arrays out of a few letters (`repeat`,
//! `lpad`, `rpad`, `range`, `array_repeat`), those whose work grows with the square
//! of a text (`levenshtein`), and those that say something about the program.

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use datafusion_functions_nested::planner::{FieldAccessPlanner, NestedFunctionPlanner};

use crate::explore::checked;

/// Scalar functions; their other names (`length`, `position`, `trim`) go with them.
const SCALAR: &[&str] = &[
    // Any value.
    "arrow_typeof",
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
    // Times.
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_local_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    // Numbers.
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "random",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // Texts.
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "find_in_set",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "octet_length",
    "overlay",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_hex",
    "translate",
    "upper",
    // Arrays, as `array_agg` and `[1, 2]` make them.
    "array_element",
    "array_has",
    "array_length",
    "array_to_string",
    "cardinality",
    "make_array",
];

const AGGREGATE: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// The scalar functions that may be used.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let nested = datafusion_functions_nested::all_default_nested_functions();
    let known = SessionStateDefaults::default_scalar_functions().into_iter().chain(nested);
    known.filter(|function| SCALAR.contains(&function.name())).collect()
}

/// The aggregate functions that may be used, with a sum that does not wrap.
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let known = SessionStateDefaults::default_aggregate_functions().into_iter();
    let checked = |function: Arc<AggregateUDF>| match function.name() {
        "sum" => checked::sum(),
        _ => function,
    };
    known.filter(|function| AGGREGATE.contains(&function.name())).map(checked).collect()
}

/// The window functions that may be used.
pub(crate) fn window() -> Vec<Arc<WindowUDF>> {
    let known = SessionStateDefaults::default_window_functions().into_iter();
    known.filter(|function| WINDOW.contains(&function.name())).collect()
}

/// What reads the parts of SQL that are no plain calls: `EXTRACT`, `SUBSTRING(… FROM …)`,
/// `POSITION(… IN …)`, `[1, 2]` and `array[1]`.
pub(crate) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    let ours: [Arc<dyn ExprPlanner>; 3] =
        [Arc::new(NestedFunctionPlanner), Arc::new(FieldAccessPlanner), Arc::new(UnicodeFunctionPlanner)];
    // The planner of aggregates comes with the others; array planners must see an index first.
    ours.into_iter().chain(SessionStateDefaults::default_expr_planners()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_lists_is_a_function() {
        let names = |found: Vec<String>, wanted: &[&str]| {
            let missing: Vec<_> =
                wanted.iter().filter(|name| !found.iter().any(|known| known == *name)).collect();
            assert!(missing.is_empty(), "{missing:?} are not in {found:?}");
        };
        names(scalar().iter().map(|function| function.name().to_owned()).collect(), SCALAR);
        names(aggregate().iter().map(|function| function.name().to_owned()).collect(), AGGREGATE);
        names(window().iter().map(|function| function.name().to_owned()).collect(), WINDOW);
    }
}
