//! The US equity calendar by the rules of the New York Stock Exchange: sessions, holidays and half days.
//!
//! True to history from 2000 on, unscheduled closures included. A later
//! closure that nobody has foreseen is added to `UNSCHEDULED`.

use std::ops::RangeInclusive;

use chrono::offset::Offset;
use chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Weekday,
};
use chrono_tz::America::New_York;

use crate::time::{HOUR, MINUTE, Millis, SECOND};

/// A part of the trading day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the open: 04:00 to 09:30 in New York.
    Pre,
    /// The session proper: 09:30 to 16:00, on half days to 13:00.
    Regular,
    /// After the close: to 20:00, on half days to 17:00.
    Post,
    /// Night, weekend or holiday.
    Closed,
}

impl Phase {
    /// The word that labels it in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pre => "pre",
            Phase::Regular => "regular",
            Phase::Post => "post",
            Phase::Closed => "closed",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One day of trading; each phase starts at its time and ends, exclusive, at the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionDay {
    /// The date in New York.
    pub date: NaiveDate,
    /// Pre-market trading begins.
    pub pre_open: Millis,
    /// The session opens.
    pub open: Millis,
    /// The session closes.
    pub close: Millis,
    /// Post-market trading ends.
    pub post_close: Millis,
    /// Whether the session closes at 13:00.
    pub half_day: bool,
}

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
pub fn session(date: NaiveDate) -> Option<SessionDay> {
    let hours = hours(date)?;
    let midnight = date.and_time(NaiveTime::MIN);
    // New York changes its clocks on Sundays, so one offset holds for a session.
    let offset = New_York.offset_from_local_datetime(&(midnight + TimeDelta::hours(12))).earliest()?;
    let start = midnight.and_utc().timestamp_millis() - Millis::from(offset.fix().local_minus_utc()) * SECOND;
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
pub fn phase(at: Millis) -> Phase {
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

/// The last session on a date before `before`.
pub fn previous_session(before: NaiveDate) -> SessionDay {
    nearest_session(before, NaiveDate::pred_opt)
}

/// The first session on a date after `after`.
pub fn next_session(after: NaiveDate) -> SessionDay {
    nearest_session(after, NaiveDate::succ_opt)
}

/// The date in New York at `at`.
pub fn date_of(at: Millis) -> NaiveDate {
    local(at).date()
}

/// The years that the rules are asked about. No record is dated outside them;
/// a time before or after is answered as their first or last instant.
const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1900, 1, 1).expect("a date");
const LAST: NaiveDate = NaiveDate::from_ymd_opt(2199, 12, 31).expect("a date");

fn nearest_session(from: NaiveDate, step: impl Fn(&NaiveDate) -> Option<NaiveDate>) -> SessionDay {
    std::iter::successors(Some(from.clamp(FIRST, LAST)), step)
        .skip(1)
        .find_map(session)
        .expect("there is a session within days of every date")
}

fn local(at: Millis) -> NaiveDateTime {
    const EARLIEST: Millis = FIRST.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    const LATEST: Millis = LAST.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    let utc = DateTime::from_timestamp_millis(at.clamp(EARLIEST, LATEST)).unwrap_or_default().naive_utc();
    utc + New_York.offset_from_utc_datetime(&utc).fix()
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
mod tests;
