//! What all calendars have in common, and the two that never close at night.

use super::*;
use crate::instrument::AssetClass;
use crate::time::parse;

fn at(rfc3339: &str) -> Millis {
    parse(rfc3339).unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The sessions of a class on the dates from one to another, as `date open close`.
fn sessions(class: AssetClass, from: &str, to: &str) -> Vec<String> {
    let dates = date(from).iter_days().take_while(|day| *day <= date(to));
    let shown = |day: SessionDay| {
        let [open, close] = [day.open, day.close].map(crate::time::rfc3339);
        format!("{} {} {}", day.date.format("%m-%d"), &open[5..16], &close[5..16])
    };
    dates.filter_map(|date| class.calendar().session(date)).map(shown).collect()
}

#[test]
fn crypto_has_a_session_every_day_in_utc_leap_days_and_new_year_too() {
    let leap =
        ["02-28 02-28T00:00 02-29T00:00", "02-29 02-29T00:00 03-01T00:00", "03-01 03-01T00:00 03-02T00:00"];
    assert_eq!(sessions(AssetClass::Crypto, "2024-02-28", "2024-03-01"), leap);
    let new_year = ["12-31 12-31T00:00 01-01T00:00", "01-01 01-01T00:00 01-02T00:00"];
    assert_eq!(sessions(AssetClass::Crypto, "2023-12-31", "2024-01-01"), new_year);
}

#[test]
fn currencies_turn_at_17_in_new_york_through_both_changes_of_its_clocks() {
    // Summer time began on 2024-03-10 and ended on 2024-11-03.
    let spring =
        ["03-08 03-07T22:00 03-08T22:00", "03-11 03-10T21:00 03-11T21:00", "03-12 03-11T21:00 03-12T21:00"];
    assert_eq!(sessions(AssetClass::Currencies, "2024-03-08", "2024-03-12"), spring);
    let autumn = ["11-01 10-31T21:00 11-01T21:00", "11-04 11-03T22:00 11-04T22:00"];
    assert_eq!(sessions(AssetClass::Currencies, "2024-11-01", "2024-11-04"), autumn);
}

#[test]
fn every_minute_counts_to_the_session_that_holds_it_in_every_class() {
    for class in AssetClass::ALL {
        let calendar = class.calendar();
        // Two weeks over the end of summer time in New York, and the leap day.
        for from in ["2024-10-27T00:00:00Z", "2024-02-26T00:00:00Z"] {
            let from = at(from);
            for minute in (from..from + 14 * DAY).step_by(MINUTE as usize) {
                let session = calendar.session(calendar.date_of(minute));
                let inside = session.filter(|day| day.open <= minute && minute < day.close);
                assert_eq!(calendar.phase(minute).is_session(), inside.is_some(), "{class} {minute}");
                let since = inside.map(|day| (minute - day.open) / MINUTE);
                assert_eq!(calendar.session_minute(minute), since, "{class} {minute}");
                let closing = calendar.session_closing_after(minute);
                assert!(minute <= closing.close, "{class} {minute}");
                assert!(calendar.previous_session(closing.date).close < minute, "{class} {minute}");
            }
        }
    }
}

#[test]
fn labels_tell_the_parts_of_the_trading_day_and_nothing_where_it_is_closed() {
    let stocks = AssetClass::Stocks.calendar();
    for (time, label, minute) in [
        ("2024-03-05T08:59:00Z", None, None),
        ("2024-03-05T09:00:00Z", Some("pre"), None),
        ("2024-03-05T14:30:00Z", Some("regular"), Some(0)),
        ("2024-03-05T20:59:59Z", Some("regular"), Some(389)),
        ("2024-03-05T21:00:00Z", Some("post"), None),
        ("2024-03-09T16:00:00Z", None, None),
    ] {
        assert_eq!(stocks.session_label(at(time)), label, "{time}");
        assert_eq!(stocks.session_minute(at(time)), minute, "{time}");
    }
    for (class, time, label, minute) in [
        (AssetClass::Crypto, "2024-03-09T16:00:00Z", Some("continuous"), Some(16 * 60)),
        (AssetClass::Currencies, "2024-03-09T16:00:00Z", None, None),
        (AssetClass::Currencies, "2024-03-08T21:59:00Z", Some("continuous"), Some(24 * 60 - 1)),
        (AssetClass::Currencies, "2024-03-08T22:00:00Z", None, None),
        (AssetClass::Currencies, "2024-03-10T21:00:00Z", Some("continuous"), Some(0)),
    ] {
        assert_eq!(class.calendar().session_label(at(time)), label, "{class} {time}");
        assert_eq!(class.calendar().session_minute(at(time)), minute, "{class} {time}");
    }
}

#[test]
fn nothing_trades_between_two_times_of_a_closed_market() {
    let trades = |class: AssetClass, from, to| class.calendar().trades_between(at(from), at(to));
    let (friday, saturday, sunday) = ("2024-03-08T22:00:00Z", "2024-03-09T15:00:00Z", "2024-03-10T21:01:00Z");
    assert!(trades(AssetClass::Crypto, friday, saturday));
    assert!(!trades(AssetClass::Crypto, saturday, saturday));
    assert!(!trades(AssetClass::Currencies, friday, saturday));
    assert!(trades(AssetClass::Currencies, "2024-03-08T21:59:00Z", saturday));
    assert!(trades(AssetClass::Currencies, saturday, sunday));
    assert!(!trades(AssetClass::Stocks, "2024-03-09T01:00:00Z", sunday));
}

#[test]
fn trading_goes_on_since_the_open_the_week_or_ever() {
    let since = |class: AssetClass, time| class.calendar().trading_since(at(time));
    let wednesday = "2024-03-13T15:00:00Z";
    assert_eq!(since(AssetClass::Stocks, wednesday), Some(at("2024-03-13T13:30:00Z")));
    assert_eq!(since(AssetClass::Currencies, wednesday), Some(at("2024-03-10T21:00:00Z")));
    assert_eq!(since(AssetClass::Crypto, wednesday), Some(Millis::MIN));
    assert_eq!(since(AssetClass::Currencies, "2024-03-09T15:00:00Z"), None);
}

#[test]
fn times_that_no_record_has_are_answered_in_every_class() {
    for class in AssetClass::ALL {
        let calendar = class.calendar();
        for time in [Millis::MIN, Millis::MAX] {
            let _ = (calendar.phase(time), calendar.session_minute(time));
            assert!(!calendar.session_closing_after(time).half_day);
        }
        assert!(calendar.next_session(NaiveDate::MAX).date > date("2199-12-31"));
    }
}
