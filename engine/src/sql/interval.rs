//! Intervals, and the setting that is one: how long a join without windows
//! keeps its rows.

use datafusion::sql::sqlparser::ast::{Expr, Interval, Set, Statement};
use model::time::{HOUR, MINUTE, Millis, SECOND};

/// What a `SET updating_ttl = INTERVAL '…'` sets; `None` for any other statement.
pub(crate) fn updating_ttl(statement: &Statement) -> Option<Result<Millis, String>> {
    let Statement::Set(Set::SingleAssignment { variable, values, .. }) = statement else { return None };
    if !variable.to_string().eq_ignore_ascii_case("updating_ttl") {
        return None;
    }
    Some(match values.as_slice() {
        [Expr::Interval(interval)] => interval_millis(interval),
        _ => Err(format!("`{statement}` sets no interval, as in INTERVAL '2 hours'")),
    })
}

/// How long an `INTERVAL '…'` is.
pub(crate) fn interval_millis(interval: &Interval) -> Result<Millis, String> {
    let refused = || format!("`{interval}` is no interval of seconds, minutes, hours or days");
    let text = match interval.value.as_ref() {
        Expr::Value(value) => value.value.clone().into_string().unwrap_or_else(|| value.to_string()),
        other => other.to_string(),
    };
    let text = match &interval.leading_field {
        Some(unit) => format!("{text} {unit}"),
        None => text,
    };
    let (number, unit) = text.trim().split_once(' ').ok_or_else(refused)?;
    let number: Millis = number.parse().map_err(|_| refused())?;
    let unit = match unit.trim().to_lowercase().trim_end_matches('s') {
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => 24 * HOUR,
        _ => return Err(refused()),
    };
    Ok(number * unit)
}
