//! When a market trades: sessions, their dates and their phases, behind one type.
//!
//! A calendar is that of an asset class ([`crate::instrument::AssetClass::calendar`]);
//! there is no other way to one, so that nobody asks the wrong market.

mod new_york;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};

use crate::time::{DAY, HOUR, MINUTE, Millis};

/// A part of the trading day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Of stocks, before the open: 04:00 to 09:30 in New York.
    Pre,
    /// Of stocks, the session proper: 09:30 to 16:00, on half days to 13:00.
    Regular,
    /// Of stocks, after the close: to 20:00, on half days to 17:00.
    Post,
    /// Of markets without an opening auction: whenever they trade.
    Continuous,
    /// No trading: night, weekend or holiday.
    Closed,
}

impl Phase {
    /// The word that labels it in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pre => "pre",
            Phase::Regular => "regular",
            Phase::Post => "post",
            Phase::Continuous => "continuous",
            Phase::Closed => "closed",
        }
    }

    /// Whether it is the session proper, of which days, weeks and months are made and
    /// in which a live feed is expected to bring bars.
    pub fn is_session(self) -> bool {
        matches!(self, Phase::Regular | Phase::Continuous)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One day of trading; each phase starts at its time and ends, exclusive, at the next.
/// A market without pre- and post-market has its open for its pre-open, and its close
/// for its post-close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionDay {
    /// The date: in New York for stocks, in UTC for crypto, and of currencies the date in
    /// New York on which the session ends.
    pub date: NaiveDate,
    /// Pre-market trading begins, in UTC epoch milliseconds as all times here.
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

/// The trading calendar of an asset class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Calendar(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    NewYork,
    Continuous,
    Currencies,
}

/// Currencies trade from 17:00 to 17:00 in New York, so many hours before midnight: the
/// turn of the trading day on the spot market, where value dates change.
const TURN: Millis = 7 * HOUR;

impl Calendar {
    /// US equities, by the rules of the New York Stock Exchange.
    pub(crate) const NEW_YORK: Calendar = Calendar(Kind::NewYork);
    /// A market that never closes, with days in UTC.
    pub(crate) const CONTINUOUS: Calendar = Calendar(Kind::Continuous);
    /// Currencies: Sunday 17:00 to Friday 17:00 in New York, with days that end at 17:00.
    pub(crate) const CURRENCIES: Calendar = Calendar(Kind::Currencies);

    /// Whether trading goes on around the clock, weekends of currencies aside: no night
    /// lies between two sessions.
    pub fn is_continuous(self) -> bool {
        self.0 != Kind::NewYork
    }

    /// The IANA name of the time zone in which people read its times.
    pub fn zone(self) -> &'static str {
        match self.0 {
            Kind::NewYork => "America/New_York",
            Kind::Continuous | Kind::Currencies => "UTC",
        }
    }

    /// The session of a date; none on a date without one.
    pub fn session(self, date: NaiveDate) -> Option<SessionDay> {
        let (open, close) = match self.0 {
            Kind::NewYork => return new_york::session(date),
            Kind::Continuous => {
                let open = date.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
                (open, open + DAY)
            }
            Kind::Currencies => {
                if is_weekend(date) {
                    return None;
                }
                // Clocks change on Sundays at 02:00, before the first turn of the week:
                // every session is 24 hours long.
                let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
                let close = midnight - new_york::offset_on(date)? + DAY - TURN;
                (close - DAY, close)
            }
        };
        Some(SessionDay { date, pre_open: open, open, close, post_close: close, half_day: false })
    }

    /// The phase of trading at `at`.
    pub fn phase(self, at: Millis) -> Phase {
        match self.0 {
            Kind::NewYork => new_york::phase(at),
            Kind::Continuous => Phase::Continuous,
            Kind::Currencies if is_weekend(self.date_of(at)) => Phase::Closed,
            Kind::Currencies => Phase::Continuous,
        }
    }

    /// The label of a bar that starts at `at`: `pre`, `regular`, `post` or `continuous`;
    /// none where the market is closed.
    pub fn session_label(self, at: Millis) -> Option<&'static str> {
        Some(self.phase(at)).filter(|phase| *phase != Phase::Closed).map(Phase::as_str)
    }

    /// Whole minutes from the open of the session that `at` falls into; none outside
    /// sessions, so before the open and after the close of stocks too.
    pub fn session_minute(self, at: Millis) -> Option<i64> {
        let session = self.session(self.date_of(at))?;
        (session.open <= at && at < session.close).then(|| (at - session.open) / MINUTE)
    }

    /// The last session on a date before `before`.
    pub fn previous_session(self, before: NaiveDate) -> SessionDay {
        self.nearest_session(before, NaiveDate::pred_opt)
    }

    /// The first session on a date after `after`.
    pub fn next_session(self, after: NaiveDate) -> SessionDay {
        self.nearest_session(after, NaiveDate::succ_opt)
    }

    /// The session to which something at `at` counts that may fall between sessions: the
    /// first that closes no earlier.
    pub fn session_closing_after(self, at: Millis) -> SessionDay {
        // A close belongs to the session that it ends, also where the next opens with it.
        let date = self.date_of(at.saturating_sub(1));
        let session = self.session(date).filter(|session| at <= session.close);
        session.unwrap_or_else(|| self.next_session(date))
    }

    /// Since when sessions have followed one another without a break, at a time within
    /// one: of stocks the session's open, of currencies that of the week; the earliest
    /// time there is where trading never ends.
    pub fn trading_since(self, at: Millis) -> Option<Millis> {
        let session = self.session(self.date_of(at)).filter(|day| day.open <= at && at < day.close)?;
        Some(match self.0 {
            Kind::NewYork => session.open,
            Kind::Continuous => Millis::MIN,
            Kind::Currencies => {
                let before = std::iter::successors(Some(session), |day| {
                    Some(self.previous_session(day.date)).filter(|before| before.close == day.open)
                });
                before.last().unwrap_or(session).open
            }
        })
    }

    /// The trading date at `at`; between sessions of currencies, that of the day that
    /// would run then.
    pub fn date_of(self, at: Millis) -> NaiveDate {
        match self.0 {
            Kind::NewYork => new_york::date_of(at),
            Kind::Continuous => utc_in_range(at).date(),
            Kind::Currencies => (new_york::local(at) + TimeDelta::milliseconds(TURN)).date(),
        }
    }

    /// Whether there may be bars between `from` and `to`, before and after sessions
    /// included.
    pub fn trades_between(self, from: Millis, to: Millis) -> bool {
        if from >= to {
            return false;
        }
        let last = self.date_of(to).checked_add_days(Days::new(1)).unwrap_or(LAST);
        let dates = self.date_of(from).iter_days().take_while(|date| *date <= last);
        let mut sessions = dates.filter_map(|date| self.session(date));
        sessions.any(|day| day.pre_open < to && from < day.post_close)
    }

    fn nearest_session(self, from: NaiveDate, step: impl Fn(&NaiveDate) -> Option<NaiveDate>) -> SessionDay {
        std::iter::successors(Some(from.clamp(FIRST, LAST)), step)
            .skip(1)
            .find_map(|date| self.session(date))
            .expect("there is a session within days of every date")
    }
}

fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// The years that the rules are asked about. No record is dated outside them;
/// a time before or after is answered as their first or last instant.
const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1900, 1, 1).expect("a date");
const LAST: NaiveDate = NaiveDate::from_ymd_opt(2199, 12, 31).expect("a date");

/// `at` in UTC, within the years from [`FIRST`] to [`LAST`].
fn utc_in_range(at: Millis) -> NaiveDateTime {
    const EARLIEST: Millis = FIRST.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    const LATEST: Millis = LAST.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    DateTime::from_timestamp_millis(at.clamp(EARLIEST, LATEST)).unwrap_or_default().naive_utc()
}

#[cfg(test)]
mod tests;
