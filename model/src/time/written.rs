//! Times of day in the calendar, as people and tools write them.
//!
//! A date, and after it a time of day with or without an offset. Every form that
//! leaves no doubt is read; one that can be read in two ways is refused.

use chrono::{DateTime, LocalResult, NaiveDate, TimeZone};
use chrono_tz::Tz;

use super::{DAY, HOUR, MINUTE, Millis, SECOND};

/// Reads a date, or a date and time: in UTC where no offset or zone is named.
///
/// Dates are `2024-03-05` or `2024/03/05`, and `20240305` before a `T`. The time
/// follows after a `T` or a blank: `09:30`, `09:30:00`, any fraction of a second
/// (milliseconds are kept). The offset is `Z`, `UTC`, `GMT`, `-05`, `-0500`,
/// `-05:00`, any of these after a blank, `UTC-5`, or a name as `America/New_York`.
/// RFC 2822, as in HTTP and RSS, is read too.
pub(super) fn read(text: &str) -> Option<Millis> {
    read_iso(text).or_else(|| DateTime::parse_from_rfc2822(text).ok().map(|time| time.timestamp_millis()))
}

/// Whether day and month of a date cannot be told apart, as in `03/05/2024`.
pub(super) fn is_ambiguous(text: &str) -> bool {
    let mut left = Left(text);
    let Some(separator) = left.number(1..=2).and_then(|_| left.one_of(&['/', '.', '-'])) else {
        return false;
    };
    let second = left.number(1..=2).and_then(|_| left.one_of(&[separator]));
    second.is_some() && left.number(2..=4).is_some()
}

fn read_iso(text: &str) -> Option<Millis> {
    let mut left = Left(text);
    let (date, is_basic) = date(&mut left)?;
    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
    if left.is_empty() {
        return (!is_basic).then_some(midnight);
    }
    if left.one_of(&['T', 't']).is_none() {
        (!is_basic && left.blanks() > 0).then_some(())?;
    }
    let local = midnight + time_of_day(&mut left, is_basic)?;
    zone(&mut left, local)
}

/// A date, and whether it was written without separators.
fn date(left: &mut Left<'_>) -> Option<(NaiveDate, bool)> {
    let mut at = Left(left.0);
    if let Some(whole) = at.number(8..=8) {
        *left = at;
        let (month, day) = (whole / 100 % 100, whole % 100);
        return NaiveDate::from_ymd_opt(i32::try_from(whole / 10_000).ok()?, month, day)
            .map(|date| (date, true));
    }
    let year = left.number(4..=4)?;
    let separator = left.one_of(&['-', '/'])?;
    let month = left.number(1..=2)?;
    left.one_of(&[separator])?;
    let day = left.number(1..=2)?;
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).map(|date| (date, false))
}

/// The time since midnight.
fn time_of_day(left: &mut Left<'_>, is_basic: bool) -> Option<Millis> {
    let (hour, minute, second) = match is_basic.then(|| Left(left.0).number(6..=6)).flatten() {
        Some(_) => (left.number_of(2)?, left.number_of(2)?, left.number_of(2)),
        None if is_basic && Left(left.0).number(4..=4).is_some() => {
            (left.number_of(2)?, left.number_of(2)?, None)
        }
        None => {
            let hour = left.number(1..=2)?;
            left.one_of(&[':'])?;
            let minute = left.number_of(2)?;
            let second = match left.one_of(&[':']) {
                Some(_) => Some(left.number_of(2)?),
                None => None,
            };
            (hour, minute, second)
        }
    };
    let fraction = match second {
        Some(_) if left.one_of(&['.', ',']).is_some() => left.milliseconds()?,
        _ => 0,
    };
    let second = second.unwrap_or(0);
    // 23:59:60 is a leap second.
    let is_time = hour < 24 && minute < 60 && (second < 60 || second == 60 && minute == 59);
    is_time.then(|| {
        Millis::from(hour) * HOUR + Millis::from(minute) * MINUTE + Millis::from(second) * SECOND + fraction
    })
}

/// The instant of a local time whose offset or zone follows.
fn zone(left: &mut Left<'_>, local: Millis) -> Option<Millis> {
    left.blanks();
    if left.is_empty() {
        return Some(local);
    }
    let has_name = ["UTC", "GMT", "UT", "Z"].into_iter().any(|name| left.word(name));
    match offset(left) {
        Some(offset) => {
            // As Go, Ruby and Java write it: the offset, then the zone's name once more.
            let rest = left.0.trim_start();
            let is_abbreviation =
                (1..=5).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphabetic());
            (rest.is_empty() || is_abbreviation || is_bracketed(rest)).then_some(local - offset)
        }
        None if has_name => (left.is_empty() || is_bracketed(left.0)).then_some(local),
        None => named(left.0, local),
    }
}

fn is_bracketed(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']')
}

/// An offset from UTC.
fn offset(left: &mut Left<'_>) -> Option<Millis> {
    let mut at = Left(left.0);
    let sign = match at.one_of(&['+', '-', '\u{2212}'])? {
        '+' => 1,
        _ => -1,
    };
    let (hours, minutes) = match at.number(4..=4) {
        Some(both) => (both / 100, both % 100),
        None => {
            let hours = at.number(1..=2)?;
            let minutes = match at.one_of(&[':']) {
                Some(_) => at.number_of(2)?,
                None => 0,
            };
            (hours, minutes)
        }
    };
    *left = at;
    let offset = Millis::from(hours) * HOUR + Millis::from(minutes) * MINUTE;
    (minutes < 60 && offset < DAY).then_some(sign * offset)
}

/// A local time in a zone of the IANA database, unless the clocks were turned
/// back and it was twice, or forward and it never was.
fn named(zone: &str, local: Millis) -> Option<Millis> {
    // Abbreviations are left out: EST is a zone in New York and another in Sydney.
    let zone: Tz = zone.contains('/').then(|| zone.parse().ok()).flatten()?;
    match zone.from_local_datetime(&DateTime::from_timestamp_millis(local)?.naive_utc()) {
        LocalResult::Single(time) => Some(time.timestamp_millis()),
        LocalResult::None | LocalResult::Ambiguous(..) => None,
    }
}

/// The part of a text that has not been read.
struct Left<'a>(&'a str);

impl Left<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number of so many digits, no digit more.
    fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        digits.contains(&length).then(|| self.number_of(length)).flatten()
    }

    /// A number of so many digits, whatever follows.
    fn number_of(&mut self, digits: usize) -> Option<u32> {
        let number = self.0.get(..digits)?;
        let value =
            number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()?;
        self.0 = &self.0[digits..];
        Some(value)
    }

    /// The digits of a fraction of a second, as milliseconds; what is finer is dropped.
    fn milliseconds(&mut self) -> Option<Millis> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let digits = &self.0[..length];
        self.0 = &self.0[length..];
        let three: String = digits.chars().chain("00".chars()).take(3).collect();
        (length > 0).then(|| three.parse().ok()).flatten()
    }

    fn one_of(&mut self, any: &[char]) -> Option<char> {
        let found = self.0.chars().next().filter(|found| any.contains(found))?;
        self.0 = &self.0[found.len_utf8()..];
        Some(found)
    }

    /// A word in letters of either case, with no letter after it.
    fn word(&mut self, word: &str) -> bool {
        let is_there = self.0.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !self.0[word.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '/');
        if is_there {
            self.0 = &self.0[word.len()..];
        }
        is_there
    }

    fn blanks(&mut self) -> usize {
        let length = self.0.bytes().take_while(|&byte| byte == b' ').count();
        self.0 = &self.0[length..];
        length
    }
}
