//! What requests may ask for, with an answer that helps where they err.

use model::symbol;
use model::time::{self, Millis};

use crate::error::Failure;

/// The most bars of one answer.
pub(crate) const MAX_BARS: usize = 10_000;

/// The times that may be asked for: 1900 to 2200. Nothing is stored beside them,
/// and spans can be added to those between without an overflow.
const TIMES: std::ops::Range<Millis> = -2_208_988_800_000..7_258_118_400_000;

/// A time that may be asked for.
pub(crate) fn bounded(name: &'static str, at: Millis) -> Result<Millis, Failure> {
    match TIMES.contains(&at) {
        true => Ok(at),
        false => Err(parameter(name, format!("is {at}: it takes a time between the years 1900 and 2200"))),
    }
}

/// A symbol that has to be there.
pub(crate) fn symbol(given: Option<String>) -> Result<String, Failure> {
    let problem = "is missing: name one symbol, as in ?symbol=AAPL; /api/v1/symbols lists them";
    let symbol = given.ok_or_else(|| parameter("symbol", problem))?;
    symbol::check(&symbol).map_err(|error| parameter("symbol", format!("is none: {error}")))?;
    Ok(symbol)
}

/// A symbol that may be left out.
pub(crate) fn optional_symbol(given: Option<String>) -> Result<Option<String>, Failure> {
    given.filter(|symbol| !symbol.is_empty()).map(|given| symbol(Some(given))).transpose()
}

/// The range `[from, to)`, open where it is left out.
pub(crate) fn range(
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(Option<Millis>, Option<Millis>), Failure> {
    let read = |name: &'static str, given: Option<&str>| {
        given
            .map(|text| {
                let short: String = text.chars().take(80).collect();
                let at = time::parse(&short);
                let at = at.map_err(|error| parameter(name, format!("is no time: {error}")))?;
                bounded(name, at)
            })
            .transpose()
    };
    let (from, to) = (read("from", from)?, read("to", to)?);
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            let problem =
                format!("is {}, which is not after `from`, {}", time::rfc3339(to), time::rfc3339(from));
            Err(parameter("to", problem))
        }
        range => Ok(range),
    }
}

/// How many bars at most.
pub(crate) fn limit(given: Option<&str>, default: usize) -> Result<usize, Failure> {
    let Some(text) = given else { return Ok(default) };
    match text.parse() {
        Ok(limit) if (1..=MAX_BARS).contains(&limit) => Ok(limit),
        _ => Err(parameter("limit", format!("must be a whole number from 1 to {MAX_BARS}"))),
    }
}

/// Whether something is wanted; not where it is left out.
pub(crate) fn flag(name: &'static str, given: Option<&str>) -> Result<bool, Failure> {
    match given {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(parameter(name, "must be `true` or `false`")),
    }
}

/// A parameter with what is wrong with it.
pub(crate) fn parameter(name: &'static str, problem: impl Into<String>) -> Failure {
    Failure::Parameter { name, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_the_parameter_and_the_way_on() {
        let said = |failure: Failure| failure.to_string();
        assert!(said(symbol(None).unwrap_err()).contains("`symbol` is missing: name one symbol"));
        assert!(said(symbol(Some("~clock0".into())).unwrap_err()).contains("heartbeats"));
        assert!(said(range(Some("soon"), None).unwrap_err()).contains("`from` is no time: `soon`"));
        assert!(said(range(Some("2000"), Some("1000")).unwrap_err()).contains("not after `from`"));
        assert!(said(limit(Some("0"), 5).unwrap_err()).contains("from 1 to 10000"));
        assert!(said(limit(Some("many"), 5).unwrap_err()).contains("`limit`"));
    }

    #[test]
    fn times_that_sums_could_overflow_are_refused() {
        for beyond in [i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1, TIMES.start - 1, TIMES.end] {
            let text = beyond.to_string();
            for (from, to) in [(Some(text.as_str()), None), (None, Some(text.as_str()))] {
                let error = range(from, to).unwrap_err().to_string();
                assert!(error.contains("between the years 1900 and 2200"), "{error}");
            }
        }
        let ends = (TIMES.start.to_string(), (TIMES.end - 1).to_string());
        assert!(range(Some(&ends.0), Some(&ends.1)).is_ok());
        assert!(range(Some("-9223372036854775809"), None).is_err() && range(None, Some("1e300")).is_err());
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(limit(None, 5).unwrap(), 5);
        assert_eq!(range(None, Some("2013-10-04")).unwrap(), (None, Some(1_380_844_800_000)));
        assert_eq!(optional_symbol(Some(String::new())).unwrap(), None);
    }
}
