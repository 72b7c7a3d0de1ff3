//! Event time: UTC epoch milliseconds, minutes, and how a person types them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// UTC epoch milliseconds, the one unit of time on the wire.
pub type Millis = i64;

/// One second in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

/// The wall clock now.
pub fn now() -> Millis {
    chrono::Utc::now().timestamp_millis()
}

/// The start of the minute that holds `at`; the earliest time there is where that lies before it.
pub fn minute_of(at: Millis) -> Millis {
    at.div_euclid(MINUTE).saturating_mul(MINUTE)
}

/// Whether a time is one in seconds: those of 1980 to 2100, read as milliseconds,
/// are days of January and February 1970, of which nobody has minute bars or headlines.
pub fn reads_as_seconds(at: Millis) -> bool {
    (315_532_800..4_102_444_800).contains(&at)
}

/// No event is older: 1900-01-01.
pub const EARLIEST: Millis = -2_208_988_800_000;
/// No event is later: 2200-01-01, which also catches micro- and nanoseconds.
pub const LATEST: Millis = 7_258_118_400_000;

/// Whether a time from outside may be that of an event or a receipt: it lies
/// between [`EARLIEST`] and [`LATEST`], so that spans can be added to it and taken from it.
pub fn is_believable(at: Millis) -> bool {
    (EARLIEST..LATEST).contains(&at)
}

/// `at` as RFC 3339 in UTC, for people and logs.
pub fn rfc3339(at: Millis) -> String {
    match DateTime::from_timestamp_millis(at) {
        Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        None => format!("{at} ms"),
    }
}

/// Why a typed time was not understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a time: write epoch milliseconds (1380873960000), a date (2013-10-04) or RFC 3339 (2013-10-04T13:30:00Z); without an offset it is UTC"
)]
pub struct BadTime(String);

/// Reads a time as a person types it: epoch milliseconds, a date (its first
/// instant in UTC), a date and time in UTC, or RFC 3339 with an offset.
pub fn parse(text: &str) -> Result<Millis, BadTime> {
    let text = text.trim();
    if let Ok(millis) = text.parse::<Millis>() {
        return Ok(millis);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis());
    }
    // An offset may follow minutes too.
    if let Some(time) = ["%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z"]
        .iter()
        .find_map(|format| DateTime::parse_from_str(text, format).ok())
    {
        return Ok(time.timestamp_millis());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc().timestamp_millis())
        .ok_or_else(|| BadTime(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        for (typed, millis) in [
            ("1380873960000", 1_380_873_960_000),
            ("2013-10-04", 1_380_844_800_000),
            ("2013-10-04T08:06Z", 1_380_873_960_000),
            ("2013-10-04 04:06-04:00", 1_380_873_960_000),
            ("2013-10-04T08:06", 1_380_873_960_000),
            ("2013-10-04 08:06:00", 1_380_873_960_000),
            ("2013-10-04T04:06:00-04:00", 1_380_873_960_000),
        ] {
            assert_eq!(parse(typed).unwrap(), millis, "{typed}");
        }
        let error = parse("tomorrow").unwrap_err().to_string();
        assert!(error.contains("`tomorrow`") && error.contains("RFC 3339"), "{error}");
    }

    #[test]
    fn minutes_start_on_multiples_of_sixty_seconds() {
        assert_eq!(minute_of(59_999), 0);
        assert_eq!(minute_of(60_000), 60_000);
        assert_eq!(minute_of(-1), -60_000);
        assert_eq!((minute_of(i64::MIN), minute_of(i64::MAX) % MINUTE), (i64::MIN, 0));
    }
}
