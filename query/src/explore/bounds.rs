//! Which conditions of a query the store can apply itself: a tag that equals
//! a text, and a time before or after an instant.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use model::time::Millis;
use store::{Measurement, Query};

/// Nanoseconds in a millisecond.
const NANOS: i128 = 1_000_000;

/// A condition that the store applies exactly as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    /// A tag has this value.
    Tag(String, String),
    /// The point's time is at or after this.
    From(Millis),
    /// The point's time is before this.
    To(Millis),
}

impl Bound {
    /// The bounds that a condition comes to; none where the store cannot apply it.
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

/// The column's name, also under a cast that keeps the instant.
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

/// The rows of a measurement within all bounds; none where they contradict each other.
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
