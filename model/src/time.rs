//! Event time: UTC epoch milliseconds, minutes, and how a person types them.

mod written;

use chrono::DateTime;

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

/// No statement of a watermark is later: a day after the latest event, because a statement
/// may be ahead of its events.
pub const LATEST_STATED: Millis = LATEST + DAY;

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
pub enum BadTime {
    /// In no form that is read.
    #[error(
        "`{0}` is not a time: write epoch milliseconds (1380873960000), a date (2013-10-04) or RFC 3339 (2013-10-04T13:30:00Z); without an offset it is UTC"
    )]
    Unknown(String),
    /// Day and month in an order that differs from country to country.
    #[error(
        "`{0}` is not a time that can be read in one way: day and month cannot be told apart. Write 2024-03-05"
    )]
    Ambiguous(String),
}

/// Reads a time as a person types it: epoch milliseconds, a date (its first
/// instant in UTC), or a date and time, with an offset or in UTC, in any form
/// that leaves no doubt.
///
/// # Errors
/// When it is none, or can be read in two ways.
pub fn parse(text: &str) -> Result<Millis, BadTime> {
    /// So much of what is no time is shown.
    const SHOWN: usize = 60;
    let text = text.trim();
    if let Ok(millis) = text.parse::<Millis>() {
        return Ok(millis);
    }
    written::read(text).ok_or_else(|| {
        let shown = text.chars().take(SHOWN).collect();
        if written::is_ambiguous(text) { BadTime::Ambiguous(shown) } else { BadTime::Unknown(shown) }
    })
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
        let error = parse("03/05/2024 09:30").unwrap_err().to_string();
        assert!(error.contains("`03/05/2024 09:30`") && error.contains("told apart"), "{error}");
        let error = parse("tomorrow").unwrap_err().to_string();
        assert!(error.contains("`tomorrow`") && error.contains("RFC 3339"), "{error}");
    }

    #[test]
    fn times_are_read_as_other_tools_write_them() {
        for written in [
            "2024-03-05 14:30:00+00",
            "2024-03-05 14:30:00.000000+00",
            "2024-03-05T14:30:00.000000000Z",
            "2024-03-05T14:30:00.000000+0000",
            "2024-03-05t14:30:00z",
            "2024-03-05 14:30:00Z",
            "2024-03-05 14:30:00 Z",
            "2024-03-05 14:30:00 UTC",
            "2024-03-05 14:30 gmt",
            "2024-03-05 14:30:00 +0000",
            "2024-03-05 14:30:00 +0000 UTC",
            "2024-03-05 09:30:00 -0500 EST",
            "2024-03-05 09:30:00 -05:00",
            "2024-03-05 09:30:00-05",
            "2024-03-05 09:30-0500",
            "2024-03-05 09:30:00 UTC-5",
            "2024-03-05 09:30:00\u{2212}05:00",
            "2024-03-05T09:30:00-05:00[America/New_York]",
            "2024-03-05T14:30Z[UTC]",
            "2024-03-05 09:30:00 America/New_York",
            "2024-03-05 20:00:00+0530",
            "2024-03-05 20:00:00,000+05:30",
            "2024-03-06T02:15+11:45",
            "2024/03/05 14:30:00",
            "2024-3-5 14:30",
            "20240305T143000Z",
            "20240305T0930-0500",
            "Tue, 05 Mar 2024 14:30:00 GMT",
            "Tue, 5 Mar 2024 09:30:00 -0500",
        ] {
            assert_eq!(parse(written).ok(), Some(1_709_649_000_000), "{written}");
        }
        assert_eq!(parse("2024-03-05 14:30:00.9999").unwrap(), 1_709_649_000_999);
        assert_eq!(parse("2024-03-05 14:30:00.5 UTC").unwrap(), 1_709_649_000_500);
        assert_eq!(parse("2016-12-31T23:59:60Z").unwrap(), parse("2017-01-01T00:00:00Z").unwrap());
    }

    #[test]
    fn what_leaves_a_doubt_or_is_no_time_is_refused() {
        for written in [
            "",
            "2024-03-05 09:30:00 EST",
            "2024-11-03 01:30:00 America/New_York",
            "2024-03-10 02:30:00 America/New_York",
            "05.03.2024 14:30",
            "3-5-24",
            "2024-02-30",
            "2024-03-05 25:00",
            "2024-03-05 14:60",
            "2024-03-05 14:30:61",
            "2024-03-05 14:30:00+99:00",
            "2024-03-05 14:30:00+05:75",
            "2024-03-05 14:30:00+5300",
            "2024-03-05 14:30:00 PM",
            "2024-03-05 14",
            "2024-03-05T",
            "2024-03-05 14:30:00.",
            "2024-03-05 14:30:00 +0000 and more",
            "2024-03-05 14:30:00\u{0}",
            "20240305 1430",
            "99999999999999999999",
            "1.70965E+12",
        ] {
            assert!(parse(written).is_err(), "{written}: {:?}", parse(written));
        }
    }

    #[test]
    fn minutes_start_on_multiples_of_sixty_seconds() {
        assert_eq!(minute_of(59_999), 0);
        assert_eq!(minute_of(60_000), 60_000);
        assert_eq!(minute_of(-1), -60_000);
        assert_eq!((minute_of(i64::MIN), minute_of(i64::MAX) % MINUTE), (i64::MIN, 0));
    }
}
