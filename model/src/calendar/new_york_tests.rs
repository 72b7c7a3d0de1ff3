//! The calendar against what the exchange did and has announced.

use chrono::DateTime;

use super::*;
use crate::calendar::Calendar;

fn next_session(after: NaiveDate) -> SessionDay {
    Calendar::NEW_YORK.next_session(after)
}

fn previous_session(before: NaiveDate) -> SessionDay {
    Calendar::NEW_YORK.previous_session(before)
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(rfc3339: &str) -> Millis {
    DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp_millis()
}

fn weekdays(year: i32) -> impl Iterator<Item = NaiveDate> {
    let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    first
        .iter_days()
        .take_while(move |date| date.year() == year)
        .filter(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun))
}

fn listed(dates: impl Iterator<Item = NaiveDate>) -> String {
    dates.map(|date| date.format("%m-%d").to_string()).collect::<Vec<_>>().join(" ")
}

/// Year, weekdays without a session, half days.
const HISTORY: [(i32, &str, &str); 14] = [
    (2013, "01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25", "07-03 11-29 12-24"),
    (2014, "01-01 01-20 02-17 04-18 05-26 07-04 09-01 11-27 12-25", "07-03 11-28 12-24"),
    (2015, "01-01 01-19 02-16 04-03 05-25 07-03 09-07 11-26 12-25", "11-27 12-24"),
    (2016, "01-01 01-18 02-15 03-25 05-30 07-04 09-05 11-24 12-26", "11-25"),
    (2017, "01-02 01-16 02-20 04-14 05-29 07-04 09-04 11-23 12-25", "07-03 11-24"),
    (2018, "01-01 01-15 02-19 03-30 05-28 07-04 09-03 11-22 12-05 12-25", "07-03 11-23 12-24"),
    (2019, "01-01 01-21 02-18 04-19 05-27 07-04 09-02 11-28 12-25", "07-03 11-29 12-24"),
    (2020, "01-01 01-20 02-17 04-10 05-25 07-03 09-07 11-26 12-25", "11-27 12-24"),
    (2021, "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24", "11-26"),
    (2022, "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26", "11-25"),
    (2023, "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25", "07-03 11-24"),
    (2024, "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25", "07-03 11-29 12-24"),
    (2025, "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25", "07-03 11-28 12-24"),
    (2026, "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25", "11-27 12-24"),
];

#[test]
fn closed_days_and_half_days_are_those_of_history() {
    for (year, closed, half) in HISTORY {
        assert_eq!(
            listed(weekdays(year).filter(|&date| session(date).is_none())),
            closed,
            "closed in {year}"
        );
        let is_half = |&date: &NaiveDate| session(date).is_some_and(|session| session.half_day);
        assert_eq!(listed(weekdays(year).filter(is_half)), half, "half days of {year}");
    }
}

#[test]
fn every_year_has_as_many_sessions_as_it_had() {
    let counts = [252, 248, 252, 252, 252, 252, 251, 251, 253, 252, 252, 252, 250];
    for (year, count) in (2000..).zip(counts) {
        assert_eq!(weekdays(year).filter_map(session).count(), count, "{year}");
    }
}

#[test]
fn half_days_around_independence_day_followed_other_rules_until_2012() {
    for (day, half) in [
        ("2002-07-03", false),
        ("2002-07-05", true),
        ("2003-12-26", true),
        ("2007-07-03", true),
        ("2008-07-03", true),
        ("2009-07-02", false),
        ("2012-07-03", true),
        ("2019-07-05", false),
    ] {
        assert_eq!(session(date(day)).unwrap().half_day, half, "{day}");
    }
}

#[test]
fn every_year_to_2100_has_its_nine_or_ten_holidays() {
    for year in 2027..=2100 {
        let closed = weekdays(year).filter(|&date| session(date).is_none()).count();
        let new_year = NaiveDate::from_ymd_opt(year, 1, 1).unwrap().weekday();
        assert_eq!(closed, if new_year == Weekday::Sat { 9 } else { 10 }, "{year}");
    }
    // The latest and two of the earliest Easters of the century.
    for friday in ["2038-04-23", "2035-03-23", "2046-03-23"] {
        assert!(session(date(friday)).is_none(), "{friday}");
    }
}

#[test]
fn a_full_day_and_a_half_day_have_their_hours() {
    let full = session(date("2024-03-05")).unwrap();
    assert_eq!(
        (full.pre_open, full.open, full.close, full.post_close),
        (
            at("2024-03-05T04:00:00-05:00"),
            at("2024-03-05T09:30:00-05:00"),
            at("2024-03-05T16:00:00-05:00"),
            at("2024-03-05T20:00:00-05:00"),
        )
    );
    let half = session(date("2024-07-03")).unwrap();
    assert!(half.half_day && !full.half_day);
    assert_eq!(half.close, at("2024-07-03T13:00:00-04:00"));
    assert_eq!(half.post_close, at("2024-07-03T17:00:00-04:00"));
}

#[test]
fn the_open_follows_the_clock_changes_of_new_york() {
    for open in [
        // Until 2006 summer time began in April, since 2007 it begins in March.
        "2006-03-20T14:30:00Z",
        "2007-03-20T13:30:00Z",
        "2024-03-08T14:30:00Z",
        "2024-03-11T13:30:00Z",
        "2024-11-01T13:30:00Z",
        "2024-11-04T14:30:00Z",
        "2099-07-06T13:30:00Z",
    ] {
        assert_eq!(session(date_of(at(open))).unwrap().open, at(open), "{open}");
        assert_eq!(phase(at(open)), Phase::Regular, "{open}");
        assert_eq!(phase(at(open) - 1), Phase::Pre, "{open}");
    }
}

#[test]
fn every_minute_is_in_the_phase_that_its_session_says() {
    let mut day = date("2024-06-28");
    while day < date("2024-07-09") {
        let midnight = at(&format!("{day}T00:00:00-04:00"));
        for minute in (midnight..).step_by(60_000).take(24 * 60) {
            let expected = match session(day) {
                Some(s) if (s.pre_open..s.open).contains(&minute) => Phase::Pre,
                Some(s) if (s.open..s.close).contains(&minute) => Phase::Regular,
                Some(s) if (s.close..s.post_close).contains(&minute) => Phase::Post,
                _ => Phase::Closed,
            };
            assert_eq!(phase(minute), expected, "{minute}");
            assert_eq!(date_of(minute), day);
        }
        day = day.succ_opt().unwrap();
    }
}

#[test]
fn neighbouring_sessions_step_over_weekends_and_holidays() {
    assert_eq!(next_session(date("2024-07-03")).date, date("2024-07-05"));
    assert_eq!(next_session(date("2024-07-05")).date, date("2024-07-08"));
    assert_eq!(previous_session(date("2024-07-05")).date, date("2024-07-03"));
    assert_eq!(previous_session(date("2001-09-17")).date, date("2001-09-10"));
    assert_eq!(next_session(date("2012-10-26")).date, date("2012-10-31"));
}

#[test]
fn times_that_no_record_has_are_answered_all_the_same() {
    assert!(date_of(Millis::MIN) < date("1900-01-02"));
    assert!(date_of(Millis::MAX) > date("2199-12-29"));
    assert!(previous_session(NaiveDate::MIN).date < date("1900-01-01"));
    assert!(next_session(NaiveDate::MAX).date > date("2199-12-31"));
}
