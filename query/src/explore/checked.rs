//! Integer arithmetic that fails on overflow. DataFusion's `+`, `-`, `*` and `sum` of 64-bit
//! integers wrap around; here an overflow is an error, as in PostgreSQL.
//!
//! Two analyzer rules replace the operators, a function replaces `sum`; then follow the
//! conditions that are pushed down to the store.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name, merge_schema};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, BinaryExpr, ColumnarValue, Expr, ExprSchemable,
    GroupsAccumulator, LogicalPlan, Operator, ReversedUDAF, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, expr_fn,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;
use model::time::Millis;
use store::{Measurement, Query};

/// The type of sums: 128 bits, which no possible number of 64-bit terms overflows.
const WIDE: DataType = DataType::Decimal128(38, 0);

/// Replaces each arithmetic operator on integers by a checked function. Runs after type
/// coercion.
#[derive(Debug)]
pub(crate) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| rewrite_expressions(plan, checked)).data()
    }
}

/// Casts unsigned integers, such as `row_number()` and `rank()`, to signed ones. DataFusion
/// would otherwise coerce a signed and an unsigned operand to decimals, whose division yields
/// fractions. Runs before type coercion.
#[derive(Debug)]
pub(crate) struct SignedIntegers;

impl AnalyzerRule for SignedIntegers {
    fn name(&self) -> &str {
        "signed_integers"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| rewrite_expressions(plan, signed)).data()
    }
}

fn signed(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_value = matches!(expression, Expr::Column(_) | Expr::ScalarFunction(_));
    match is_value && expression.get_type(schema)? == DataType::UInt64 {
        true => Ok(Transformed::yes(expr_fn::cast(expression, DataType::Int64))),
        false => Ok(Transformed::no(expression)),
    }
}

/// Rewrites every expression of a plan, innermost first, and keeps the column names.
fn rewrite_expressions(
    plan: LogicalPlan,
    change: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        let table = scan.table_name.clone();
        schema.merge(&DFSchema::try_from_qualified_schema(table, &scan.source.schema())?);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expression| {
        let name = names.save(&expression);
        let checked = expression.transform_up(|expression| change(expression, &schema))?;
        Ok(if checked.transformed {
            checked.update_data(|expression| name.restore(expression))
        } else {
            checked
        })
    })?
    .map_data(LogicalPlan::recompute_schema)
}

fn checked(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let call = |operation, arguments| {
        let function = Arc::new(ScalarUDF::new_from_impl(Checked { operation, ..Checked::default() }));
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))))
    };
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let operation = match op {
                Operator::Plus => Operation::Add,
                Operator::Minus => Operation::Subtract,
                Operator::Multiply => Operation::Multiply,
                _ => return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            };
            let (one, other) = (left.get_type(schema)?, right.get_type(schema)?);
            match one.is_integer() && one == other {
                true => call(operation, vec![*left, *right]),
                false => Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            }
        }
        Expr::Negative(inner) if inner.get_type(schema)?.is_integer() => {
            call(Operation::Negate, vec![*inner])
        }
        other => Ok(Transformed::no(other)),
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Operation {
    #[default]
    Add,
    Subtract,
    Multiply,
    Negate,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Default for Checked {
    fn default() -> Checked {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Checked { operation: Operation::default(), signature }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Int64))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.operation, arguments.args.as_slice()) {
            (Operation::Add, [one, other]) => apply(one, other, numeric::add),
            (Operation::Subtract, [one, other]) => apply(one, other, numeric::sub),
            (Operation::Multiply, [one, other]) => apply(one, other, numeric::mul),
            (_, [ColumnarValue::Scalar(one)]) => {
                let negative = numeric::neg(&one.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&negative, 0)?))
            }
            (_, [ColumnarValue::Array(one)]) => Ok(ColumnarValue::Array(numeric::neg(one)?)),
            (operation, given) => exec_err!("{operation:?} of {} values", given.len()),
        }
    }
}

/// A `sum` that fails if the total does not fit in 64 bits.
pub(crate) fn sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(CheckedSum::default()))
}

/// `sum`: checked for integers, DataFusion's own for other types. DataFusion's rewrite of
/// `sum(x + n)` to `sum(x) + n * count(x)` is not offered, because its result would be
/// unchecked.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct CheckedSum {
    inner: Sum,
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match arguments.return_field.data_type() {
            kind if kind.is_integer() => Ok(Box::new(Total::new(kind, arguments.is_distinct))),
            _ => self.inner.accumulator(arguments),
        }
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match arguments.return_field.data_type() {
            kind if kind.is_integer() => Ok(Box::new(Total::new(kind, arguments.is_distinct))),
            _ => self.inner.create_sliding_accumulator(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let kind = arguments.return_field.data_type();
        if !kind.is_integer() {
            return self.inner.state_fields(arguments);
        }
        let name = format_state_name(arguments.name, "sum");
        let field = match arguments.is_distinct {
            true => Field::new_list(name, Field::new_list_field(WIDE, true), false),
            false => Field::new(name, WIDE, true),
        };
        Ok(vec![Arc::new(field)])
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        !arguments.return_field.data_type().is_integer() && self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The running sum, of all values or of the distinct ones.
#[derive(Debug)]
struct Total {
    kind: DataType,
    sum: i128,
    /// How many values it contains; the sum of no values is null.
    values: u64,
    /// How often each value occurs; only for DISTINCT.
    seen: Option<HashMap<i128, u64>>,
}

impl Total {
    fn new(kind: &DataType, distinct: bool) -> Total {
        Total { kind: kind.clone(), sum: 0, values: 0, seen: distinct.then(HashMap::new) }
    }

    fn add(&mut self, value: i128) {
        if let Some(seen) = &mut self.seen {
            let times = seen.entry(value).or_default();
            *times += 1;
            if *times > 1 {
                return;
            }
        }
        self.sum += value;
        self.values += 1;
    }

    fn remove(&mut self, value: i128) {
        if let Some(seen) = &mut self.seen {
            let Some(times) = seen.get_mut(&value) else { return };
            *times -= 1;
            if *times > 0 {
                return;
            }
            seen.remove(&value);
        }
        self.sum -= value;
        self.values -= 1;
    }
}

fn for_each_integer(array: &ArrayRef, mut take: impl FnMut(i128)) -> Result<()> {
    let wide = cast(array, &WIDE)?;
    wide.as_primitive::<Decimal128Type>().iter().flatten().for_each(&mut take);
    Ok(())
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each_integer(&values[0], |value| self.add(value))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each_integer(&values[0], |value| self.remove(value))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let wide = |value| ScalarValue::Decimal128(Some(value), 38, 0);
        Ok(vec![match &self.seen {
            Some(seen) => {
                let values: Vec<_> = seen.keys().map(|value| wide(*value)).collect();
                ScalarValue::List(ScalarValue::new_list_nullable(&values, &WIDE))
            }
            None if self.values == 0 => ScalarValue::Decimal128(None, 38, 0),
            None => wide(self.sum),
        }])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        match self.seen {
            Some(_) => {
                for list in states[0].as_list::<i32>().iter().flatten() {
                    for_each_integer(&list, |value| self.add(value))?;
                }
                Ok(())
            }
            None => for_each_integer(&states[0], |value| self.add(value)),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values == 0 {
            return ScalarValue::try_from(&self.kind);
        }
        let total = match self.kind {
            DataType::UInt64 => u64::try_from(self.sum).ok().map(|sum| ScalarValue::UInt64(Some(sum))),
            _ => i64::try_from(self.sum).ok().map(|sum| ScalarValue::Int64(Some(sum))),
        };
        match total {
            Some(total) => Ok(total),
            None => exec_err!("Overflow happened on: a sum of {}", self.sum),
        }
    }

    fn size(&self) -> usize {
        let seen = self.seen.as_ref().map_or(0, |seen| seen.capacity() * size_of::<(i128, u64)>());
        size_of_val(self) + seen
    }
}

// Conditions that the store applies itself: a tag equal to a text, and comparisons of a point's
// time with an instant.

/// Nanoseconds in a millisecond.
const NANOS: i128 = 1_000_000;

/// A condition that the store applies exactly.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    /// The tag (first) has this value (second).
    Tag(String, String),
    /// The point's time is at or after this, epoch milliseconds.
    From(Millis),
    /// The point's time is before this, epoch milliseconds.
    To(Millis),
}

impl Bound {
    /// The bounds equivalent to a condition; `None` if the store cannot apply it.
    pub(crate) fn of(condition: &Expr, measurement: &Measurement) -> Option<Vec<Bound>> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
        if let (Some(column), Some(value)) = (column_of(left), literal_of(right)) {
            return compared(column, *op, value, measurement);
        }
        compared(column_of(right)?, op.swap()?, literal_of(left)?, measurement)
    }
}

fn compared(
    column: &str,
    op: Operator,
    value: &ScalarValue,
    measurement: &Measurement,
) -> Option<Vec<Bound>> {
    if measurement.tags.iter().any(|tag| tag == column) && op == Operator::Eq {
        let value = value.try_as_str()??.to_owned();
        return Some(vec![Bound::Tag(column.to_owned(), value)]);
    }
    if measurement.time != column {
        return None;
    }
    let at = nanoseconds(value)?;
    // Stored times are whole milliseconds.
    let (floor, ceiling) = (millis(at.div_euclid(NANOS))?, millis((at + NANOS - 1).div_euclid(NANOS))?);
    let after = floor.checked_add(1)?;
    match op {
        Operator::GtEq => Some(vec![Bound::From(ceiling)]),
        Operator::Gt => Some(vec![Bound::From(after)]),
        Operator::Lt => Some(vec![Bound::To(ceiling)]),
        Operator::LtEq => Some(vec![Bound::To(after)]),
        Operator::Eq if floor == ceiling => Some(vec![Bound::From(floor), Bound::To(after)]),
        _ => None,
    }
}

fn millis(value: i128) -> Option<Millis> {
    Millis::try_from(value).ok()
}

/// The column's name, also inside a cast that keeps the instant.
fn column_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) => match (cast.field.data_type(), cast.expr.as_ref()) {
            (DataType::Timestamp(unit, _), Expr::Column(column)) if *unit != TimeUnit::Second => {
                Some(&column.name)
            }
            _ => None,
        },
        _ => None,
    }
}

fn literal_of(expression: &Expr) -> Option<&ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn nanoseconds(value: &ScalarValue) -> Option<i128> {
    let (value, scale) = match value {
        ScalarValue::TimestampSecond(value, _) => (value, 1_000_000_000),
        ScalarValue::TimestampMillisecond(value, _) => (value, NANOS),
        ScalarValue::TimestampMicrosecond(value, _) => (value, 1_000),
        ScalarValue::TimestampNanosecond(value, _) => (value, 1),
        _ => return None,
    };
    Some(i128::from((*value)?) * scale)
}

/// The query for the rows within all bounds; `None` if the bounds contradict each other.
pub(crate) fn query(measurement: &Measurement, bounds: Vec<Bound>) -> Option<Query> {
    let mut query = Query { measurement: measurement.name.clone(), ..Query::default() };
    for bound in bounds {
        match bound {
            Bound::Tag(tag, value) => match query.tags.iter().find(|(known, _)| *known == tag) {
                Some((_, known)) if *known != value => return None,
                Some(_) => {}
                None => query.tags.push((tag, value)),
            },
            Bound::From(from) => query.from = Some(query.from.map_or(from, |known| known.max(from))),
            Bound::To(to) => query.to = Some(query.to.map_or(to, |known| known.min(to))),
        }
    }
    let is_empty = query.from.zip(query.to).is_some_and(|(from, to)| from >= to);
    (!is_empty).then_some(query)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn at(nanoseconds: i64) -> Expr {
        lit(ScalarValue::TimestampNanosecond(Some(nanoseconds), Some("UTC".into())))
    }

    fn of(condition: &Expr) -> Option<Vec<Bound>> {
        Bound::of(condition, &Measurement::bars())
    }

    #[test]
    fn an_instant_between_two_milliseconds_falls_on_the_right_side_of_each_comparison() {
        let time = || col("start_timestamp");
        assert_eq!(of(&time().gt_eq(at(1_500_000))), Some(vec![Bound::From(2)]));
        assert_eq!(of(&time().gt(at(1_500_000))), Some(vec![Bound::From(2)]));
        assert_eq!(of(&time().gt(at(2_000_000))), Some(vec![Bound::From(3)]));
        assert_eq!(of(&time().lt(at(1_500_000))), Some(vec![Bound::To(2)]));
        assert_eq!(of(&time().lt(at(2_000_000))), Some(vec![Bound::To(2)]));
        assert_eq!(of(&time().lt_eq(at(2_000_000))), Some(vec![Bound::To(3)]));
        assert_eq!(of(&time().eq(at(2_000_000))), Some(vec![Bound::From(2), Bound::To(3)]));
        assert_eq!(of(&time().eq(at(2_000_001))), None);
        assert_eq!(of(&at(2_000_000).lt_eq(time())), Some(vec![Bound::From(2)]));
        assert_eq!(of(&time().lt(at(-1))), Some(vec![Bound::To(0)]));
    }

    #[test]
    fn only_tags_and_the_time_of_the_points_are_applied_by_the_store() {
        assert_eq!(of(&col("symbol").eq(lit("IBM"))), Some(vec![Bound::Tag("symbol".into(), "IBM".into())]));
        assert_eq!(of(&lit("IBM").eq(col("symbol"))), Some(vec![Bound::Tag("symbol".into(), "IBM".into())]));
        for other in [
            col("symbol").not_eq(lit("IBM")),
            col("source").eq(lit("replay")),
            col("end_timestamp").lt(at(0)),
            col("close").gt(lit(1.0)),
            col("symbol").eq(col("source")),
            col("symbol").eq(lit(ScalarValue::Utf8(None))),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
    }

    #[test]
    fn bounds_that_contradict_each_other_leave_no_row_to_read() {
        let bars = Measurement::bars();
        let tag = |value: &str| Bound::Tag("symbol".into(), value.into());
        assert!(query(&bars, vec![tag("A"), tag("B")]).is_none());
        assert!(query(&bars, vec![Bound::From(5), Bound::To(5)]).is_none());
        let read =
            query(&bars, vec![tag("A"), tag("A"), Bound::From(1), Bound::From(3), Bound::To(9)]).unwrap();
        assert_eq!((read.tags.len(), read.from, read.to), (1, Some(3), Some(9)));
    }
}
