//! Times written as numbers: whole epoch milliseconds, whatever the type of the column.
//!
//! Numbers in other units are rejected with the name of the unit, because interpreted as
//! milliseconds they would be valid but wrong times.

use model::time::{LATEST, Millis, is_believable};

/// From this value on a double cannot represent every integer.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

/// The unit of the numbers of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Milliseconds, the default.
    Millis,
    /// Nanoseconds.
    Nanos,
}

type Reason = String;

/// The seconds from 1980 to 2100.
const SECONDS: std::ops::Range<i128> = 315_532_800..4_102_444_800;

/// Validates a time, in epoch milliseconds, for any column.
///
/// # Errors
/// When it is implausible; the message continues "a value which …".
pub(crate) fn within_reason(at: Millis) -> Result<Millis, Reason> {
    if (0..SECONDS.end as Millis).contains(&at) {
        let why = if SECONDS.contains(&i128::from(at)) {
            "is a time in seconds: times are epoch milliseconds, a thousand times that"
        } else {
            "lies in the first weeks of 1970, as numbers do that are no epoch milliseconds"
        };
        return Err(why.into());
    }
    if !is_believable(at) {
        return Err("is no time in epoch milliseconds between the years 1900 and 2200".into());
    }
    Ok(at)
}

/// A fast check that accepts only times for which [`within_reason`] succeeds.
pub(crate) fn is_plain(at: Millis) -> bool {
    const FROM: Millis = 315_532_800_000;
    (FROM..LATEST).contains(&at)
}

/// A time from an integer.
///
/// # Errors
/// When it is not a plausible time; the message continues "a value which …".
pub(crate) fn whole(value: i128, scale: Scale) -> Result<Millis, Reason> {
    let in_millis = match scale {
        Scale::Millis => value,
        Scale::Nanos if SECONDS.contains(&value.div_euclid(1_000_000_000)) => value.div_euclid(1_000_000),
        Scale::Nanos => return Err("is no time in nanoseconds, which this column holds".into()),
    };
    for (unit, factor, remedy) in [("micro", 1_000_000, "thousandth"), ("nano", 1_000_000_000, "millionth")] {
        if SECONDS.contains(&in_millis.div_euclid(factor)) {
            return Err(format!(
                "is a time in {unit}seconds: times are epoch milliseconds, a {remedy} of that"
            ));
        }
    }
    if is_date_and_minute(in_millis) {
        return Err("is a date and time without separators: write 2024-03-05T14:30Z".into());
    }
    // A value beyond the range of the type is implausible too.
    within_reason(Millis::try_from(in_millis).unwrap_or(Millis::MAX))
}

/// Whether digits such as `202403051430` are a date and minute: as milliseconds they would be
/// in 1976.
fn is_date_and_minute(value: i128) -> bool {
    let (date, time) = (value / 10_000, value % 10_000);
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    (1980..2100).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && time / 100 < 24
        && time % 100 < 60
}

/// A time from a double.
///
/// # Errors
/// When it is not a plausible time; the message continues "a value which …".
pub(crate) fn double(value: f64, scale: Scale) -> Result<Millis, Reason> {
    if !value.is_finite() {
        return Err("is no time".into());
    }
    // Saturates to an implausible time.
    let integer = value as i128;
    // A minute in nanoseconds is exact as a double, although it exceeds `EXACT`.
    let is_exact = value.abs() < EXACT || scale == Scale::Nanos && integer % 1_000_000 == 0;
    let read = whole(integer, scale)?;
    if value.fract() != 0.0 || !is_exact {
        return Err("is not a whole number of milliseconds".into());
    }
    Ok(read)
}

/// A time from a text; `None` if the text is not a number.
///
/// # Errors
/// When it is not a plausible time; the message continues "a value which …".
pub(crate) fn written(text: &str, scale: Scale) -> Option<Result<Millis, Reason>> {
    /// More digits, and a greater exponent, than any time has.
    const MOST: usize = 30;
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(are_digits(integer) && are_digits(fraction)) || integer.len() + fraction.len() == 0 {
        return None;
    }
    let tenfold: i32 = match exponent {
        None => 0,
        Some(exponent) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !are_digits(digits) {
                return None;
            }
            exponent.parse().unwrap_or(i32::MAX)
        }
    };
    let significant = integer.trim_start_matches('0').len() + fraction.len();
    let fraction = fraction.trim_end_matches('0');
    if significant > MOST || tenfold.unsigned_abs() as usize > MOST {
        return Some(Err("is no time in epoch milliseconds between the years 1900 and 2200".into()));
    }
    if exponent.is_some() && is_rounded(integer, mantissa, significant) {
        let why = "is rounded to so few digits that the minute is lost: write all digits of the milliseconds";
        return Some(Err(why.into()));
    }
    let digits: i128 = format!("{integer}{fraction}").parse().unwrap_or(0);
    let shift = tenfold - fraction.len() as i32;
    let power = 10_i128.checked_pow(shift.unsigned_abs()).unwrap_or(i128::MAX);
    Some(if shift >= 0 {
        whole(sign * digits.saturating_mul(power), scale)
    } else if digits % power == 0 {
        whole(sign * digits / power, scale)
    } else {
        // An error about the unit takes precedence over the one about the fraction.
        whole(sign * digits / power, scale).and(Err("is not a whole number of milliseconds".into()))
    })
}

/// Whether a number with an exponent was rounded for display: spreadsheets keep six digits
/// (`1.70965E+12`). Software that uses exponents to be concise keeps all digits.
fn is_rounded(integer: &str, mantissa: &str, significant: usize) -> bool {
    const SHOWN_BY_SPREADSHEETS: usize = 6;
    let is_scientific = integer.len() == 1 || mantissa.contains('.');
    is_scientific && significant <= SHOWN_BY_SPREADSHEETS
}
