//! The US equity calendar by the rules of the New York Stock Exchange: sessions, holidays and half days.
//!
//! True to history from 2000 on, unscheduled closures included. A later
//! closure that nobody has foreseen is added to `UNSCHEDULED`.

use std::ops::RangeInclusive;

use chrono::offset::Offset;
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Weekday};
use chrono_tz::America::New_York;

use super::{FIRST, Phase, SessionDay, utc_in_range};
use crate::time::{HOUR, MINUTE, Millis, SECOND};

/// Hours of a day as milliseconds after midnight in New York.
struct Hours {
    close: Millis,
    post_close: Millis,
}

const PRE_OPEN: Millis = 4 * HOUR;
const OPEN: Millis = 9 * HOUR + 30 * MINUTE;
const FULL: Hours = Hours { close: 16 * HOUR, post_close: 20 * HOUR };
const HALF: Hours = Hours { close: 13 * HOUR, post_close: 17 * HOUR };

/// Closures outside the rules: attacks, storms and days of mourning.
const UNSCHEDULED: [(i32, u32, u32); 10] = [
    (2001, 9, 11),
    (2001, 9, 12),
    (2001, 9, 13),
    (2001, 9, 14),
    (2004, 6, 11),
    (2007, 1, 2),
    (2012, 10, 29),
    (2012, 10, 30),
    (2018, 12, 5),
    (2025, 1, 9),
];

/// The session of a date in New York; none at weekends and on holidays.
pub(super) fn session(date: NaiveDate) -> Option<SessionDay> {
    let hours = hours(date)?;
    let midnight = date.and_time(NaiveTime::MIN);
    // New York changes its clocks on Sundays, so one offset holds for a session.
    let start = midnight.and_utc().timestamp_millis() - offset_on(date)?;
    Some(SessionDay {
        date,
        pre_open: start + PRE_OPEN,
        open: start + OPEN,
        close: start + hours.close,
        post_close: start + hours.post_close,
        half_day: hours.close == HALF.close,
    })
}

/// The phase of trading at `at`.
pub(super) fn phase(at: Millis) -> Phase {
    let local = local(at);
    let since_midnight = Millis::from(local.num_seconds_from_midnight()) * SECOND;
    if !(PRE_OPEN..FULL.post_close).contains(&since_midnight) {
        return Phase::Closed;
    }
    match hours(local.date()) {
        None => Phase::Closed,
        Some(_) if since_midnight < OPEN => Phase::Pre,
        Some(hours) if since_midnight < hours.close => Phase::Regular,
        Some(hours) if since_midnight < hours.post_close => Phase::Post,
        Some(_) => Phase::Closed,
    }
}

/// The date in New York at `at`.
pub(super) fn date_of(at: Millis) -> NaiveDate {
    local(at).date()
}

/// The clock in New York at `at`.
pub(super) fn local(at: Millis) -> NaiveDateTime {
    let utc = utc_in_range(at);
    utc + New_York.offset_from_utc_datetime(&utc).fix()
}

/// Local noon's offset from UTC on a date, in milliseconds. New York changes its clocks
/// at 02:00 on Sundays, so it holds from 02:00 on.
pub(super) fn offset_on(date: NaiveDate) -> Option<Millis> {
    let noon = date.and_time(NaiveTime::MIN) + TimeDelta::hours(12);
    let offset = New_York.offset_from_local_datetime(&noon).earliest()?;
    Some(Millis::from(offset.fix().local_minus_utc()) * SECOND)
}

/// When a date's trading ends; nothing where there is none.
fn hours(date: NaiveDate) -> Option<Hours> {
    let weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
    if weekend || is_holiday(date) || UNSCHEDULED.contains(&(date.year(), date.month(), date.day())) {
        return None;
    }
    Some(if is_half_day(date) { HALF } else { FULL })
}

/// Whether a weekday is a holiday of the exchange.
fn is_holiday(date: NaiveDate) -> bool {
    let (weekday, day) = (date.weekday(), date.day());
    let falls_on = |wanted: Weekday, days: RangeInclusive<u32>| weekday == wanted && days.contains(&day);
    // On the Friday before a Saturday's holiday and the Monday after a Sunday's.
    let observed = |holiday: u32| {
        day == holiday
            || (weekday == Weekday::Fri && day + 1 == holiday)
            || (weekday == Weekday::Mon && day == holiday + 1)
    };
    match date.month() {
        // New Year on a Saturday is not made up for: its Friday ends the books of a year.
        // Then Martin Luther King's day.
        1 => day == 1 || falls_on(Weekday::Mon, 2..=2) || falls_on(Weekday::Mon, 15..=21),
        // Presidents' day.
        2 => falls_on(Weekday::Mon, 15..=21),
        3 | 4 => weekday == Weekday::Fri && date == good_friday(date.year()),
        // Memorial day.
        5 => falls_on(Weekday::Mon, 25..=31),
        // Juneteenth.
        6 => date.year() >= 2022 && observed(19),
        // Independence day.
        7 => observed(4),
        // Labor day.
        9 => falls_on(Weekday::Mon, 1..=7),
        // Thanksgiving.
        11 => falls_on(Weekday::Thu, 22..=28),
        // Christmas.
        12 => observed(25),
        _ => false,
    }
}

/// Whether a session ends at 13:00.
fn is_half_day(date: NaiveDate) -> bool {
    match (date.month(), date.day(), date.weekday()) {
        // Until 2012 a Thursday's Independence day shortened the Friday after it, not the Wednesday before.
        (7, 3, Weekday::Wed) => date.year() >= 2013,
        (7, 5, Weekday::Fri) => date.year() < 2013,
        (7, 3, _) | (11, 23..=29, Weekday::Fri) | (12, 24, _) => true,
        (12, 26, _) => date.year() == 2003,
        _ => false,
    }
}

/// Two days before Easter Sunday, which is found by the Gregorian computus.
fn good_friday(year: i32) -> NaiveDate {
    let (century, golden) = (year / 100, year % 19);
    let leap_days_skipped = century - century / 4;
    let moon_correction = (8 * century + 13) / 25;
    let epact = (19 * golden + leap_days_skipped - moon_correction + 15).rem_euclid(30);
    // The paschal full moon, in days after 21 March, never later than 18 April.
    let late = epact == 29 || (epact == 28 && golden > 10);
    let full_moon = epact - i32::from(late);
    let weekday = (year + year / 4 + full_moon + 2 - leap_days_skipped).rem_euclid(7);
    let easter = i64::from(full_moon - weekday + 28);
    // `easter` counts from the last day of February.
    let february_ends = NaiveDate::from_ymd_opt(year, 3, 1).unwrap_or(FIRST) - TimeDelta::days(1);
    february_ends + TimeDelta::days(easter - 2)
}

#[cfg(test)]
#[path = "new_york_tests.rs"]
mod tests;
