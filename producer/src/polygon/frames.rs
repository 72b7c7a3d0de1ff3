//! What a frame of the feed says: several events of several kinds, each read
//! for itself, so that a bad one costs nothing but itself.

use std::borrow::Cow;
use std::fmt;

use feed::price::wire::{at_most, minute_bar, whole_millis};
use feed::price::{self, Frame};
use model::time::{MINUTE, Millis};
use model::{Bar, Source};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// One event.
#[derive(Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// A minute bar that passed its check.
    Bar(Box<Bar>),
    /// A word about the connection.
    Status(Status<'a>),
    /// A kind that is not asked for.
    Other,
    /// What is no good event, with the reason.
    Bad(String),
}

/// A word about the connection.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Status<'a> {
    #[serde(borrow, default)]
    pub(super) status: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) message: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    ev: Cow<'a, str>,
}

/// Every number is a double on this wire, times and volumes included.
#[derive(Deserialize)]
struct MinuteAggregate<'a> {
    #[serde(borrow)]
    ev: Cow<'a, str>,
    #[serde(borrow)]
    sym: Cow<'a, str>,
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: f64,
    s: f64,
    e: Option<f64>,
    vw: Option<f64>,
    av: Option<f64>,
    op: Option<f64>,
    a: Option<f64>,
    z: Option<f64>,
    otc: Option<bool>,
}

/// Events in a frame: as many as the longest frame holds minute bars. A frame of shorter
/// events is not taken apart, which would cost many times its size.
const MOST_EVENTS: usize = 150_000;

/// The events of a frame, unread.
///
/// # Errors
/// When it is neither an array nor an object in JSON, or holds too many events.
pub(super) fn split(frame: &str) -> Result<Vec<&RawValue>, String> {
    let one = frame.trim_start().starts_with('{');
    let events =
        if one { serde_json::from_str(frame).map(|one| vec![one]) } else { at_most(MOST_EVENTS, frame) };
    events.map_err(|error| format!("the frame is no JSON array of events: {error}"))
}

/// Reads one event that was received at `received`.
pub(super) fn read(event: &str, received: Millis) -> Event<'_> {
    let kind = match serde_json::from_str::<Kind<'_>>(event) {
        Ok(kind) => kind,
        Err(error) => return Event::Bad(format!("the event has no kind `ev`: {error}")),
    };
    match &*kind.ev {
        "AM" => read_bar(event, received).map_or_else(Event::Bad, |bar| Event::Bar(Box::new(bar))),
        "status" => match serde_json::from_str(event) {
            Ok(status) => Event::Status(status),
            Err(error) => Event::Bad(format!("the status cannot be read: {error}")),
        },
        _ => Event::Other,
    }
}

/// The bars of a frame that holds nothing but good minute bars, as nearly all do,
/// in one pass; `None` where it has to be looked at event by event.
pub(super) fn only_bars(frame: &str, received: Millis) -> Option<Vec<Bar>> {
    let mut text = serde_json::Deserializer::from_str(frame);
    let bars = text.deserialize_seq(OnlyBars { received, about: frame.len() / SHORTEST }).ok()?;
    text.end().ok().map(|()| bars)
}

/// No event of a minute bar is much shorter.
const SHORTEST: usize = 128;

/// Takes in a frame that holds nothing but good minute bars.
struct OnlyBars {
    received: Millis,
    /// How many there may be.
    about: usize,
}

impl<'de> Visitor<'de> for OnlyBars {
    type Value = Vec<Bar>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("good minute bars and nothing else")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<Vec<Bar>, A::Error> {
        let mut bars = Vec::with_capacity(self.about);
        while let Some(event) = events.next_element::<MinuteAggregate<'_>>()? {
            if event.ev != "AM" {
                return Err(Error::custom("an event of another kind"));
            }
            bars.push(event.bar(self.received).map_err(Error::custom)?);
        }
        Ok(bars)
    }
}

/// What a frame holds, for the driver.
pub(super) fn frame(frame: &str, received: Millis) -> Result<Frame<'_>, String> {
    if let Some(bars) = only_bars(frame, received) {
        return Ok(Frame::Bars(bars));
    }
    Ok(Frame::Events(split(frame)?.into_iter().map(|event| one(event.get(), received)).collect()))
}

fn one(raw: &str, received: Millis) -> price::Event<'_> {
    match read(raw, received) {
        Event::Bar(bar) => price::Event::Bar(bar),
        Event::Bad(reason) => price::Event::Bad { raw, reason },
        Event::Status(_) => price::Event::Message,
        Event::Other => price::Event::Other,
    }
}

/// The bars of a frame or an event by itself.
///
/// # Errors
/// The first event that is no good minute bar.
pub fn bars(text: &str, received: Millis) -> Result<Vec<Bar>, String> {
    if let Some(bars) = only_bars(text, received).filter(|bars| !bars.is_empty()) {
        return Ok(bars);
    }
    let mut bars = Vec::new();
    for event in split(text)? {
        match read(event.get(), received) {
            Event::Bar(bar) => bars.push(*bar),
            Event::Bad(reason) => return Err(reason),
            Event::Status(_) | Event::Other => {}
        }
    }
    if bars.is_empty() { Err("it holds no minute bar".into()) } else { Ok(bars) }
}

fn read_bar(event: &str, received: Millis) -> Result<Bar, String> {
    let read: MinuteAggregate<'_> =
        serde_json::from_str(event).map_err(|error| format!("the minute bar cannot be read: {error}"))?;
    read.bar(received)
}

impl MinuteAggregate<'_> {
    fn bar(self, received: Millis) -> Result<Bar, String> {
        let start = whole_millis(self.s)?;
        let bar = Bar {
            symbol: self.sym.into_owned(),
            open: self.o,
            high: self.h,
            low: self.l,
            close: self.c,
            vwap: self.vw,
            volume: self.v,
            accumulated_volume: self.av,
            official_open_price: self.op,
            aggregate_vwap: self.a,
            average_size: self.z,
            start_timestamp: start,
            end_timestamp: self.e.map_or(Ok(start.saturating_add(MINUTE)), whole_millis)?,
            otc: self.otc,
            source: Source::Polygon,
            received_timestamp: received,
            complete_until: 0,
            position: None,
        };
        minute_bar(bar)
    }
}

/// The event that says what `bar` does.
pub(super) fn of(bar: &Bar) -> serde_json::Value {
    serde_json::json!({
        "ev": "AM", "sym": bar.symbol, "o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close,
        "v": bar.volume, "vw": bar.vwap, "av": bar.accumulated_volume, "op": bar.official_open_price,
        "a": bar.aggregate_vwap, "z": bar.average_size, "s": bar.start_timestamp, "e": bar.end_timestamp,
        "otc": bar.otc,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"ev":"AM","sym":"AAPL","v":12.5,"o":10,"c":10.5,"h":11,"l":9,"s":1380873960000,"e":1380874020000.0}"#;

    fn bar(text: &str) -> Bar {
        match read(text, 7) {
            Event::Bar(bar) => *bar,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn whole_numbers_may_have_a_point_and_optional_keys_may_be_missing_or_null() {
        let plain = bar(GOOD);
        assert_eq!(
            (plain.volume, plain.end_timestamp, plain.received_timestamp),
            (12.5, 1_380_874_020_000, 7)
        );
        assert_eq!((plain.average_size, plain.otc), (None, None));
        let more = GOOD.replacen('{', r#"{"z":12.0,"a":null,"otc":true,"dv":"4.5","new":{"x":[1]},"#, 1);
        assert_eq!((bar(&more).average_size, bar(&more).otc), (Some(12.0), Some(true)));
        let without_end = GOOD.replace(r#","e":1380874020000.0"#, "");
        assert_eq!(bar(&without_end).end_timestamp, 1_380_874_020_000);
    }

    #[test]
    fn what_is_no_good_event_is_told_with_its_reason() {
        for (text, said) in [
            ("7", "no kind"),
            (r#"{"sym":"AAPL"}"#, "no kind `ev`"),
            (r#"{"ev":"AM","sym":"AAPL"}"#, "missing field `o`"),
            (&GOOD.replace("12.5", "null"), "cannot be read"),
            (&GOOD.replace("12.5", "-1"), "volume is -1"),
            (&GOOD.replace("AAPL", "~clock0"), "heartbeats"),
            (&GOOD.replace("1380873960000,", "1380873960000.5,"), "no time in epoch milliseconds"),
            (&GOOD.replace("1380873960000,", "1e300,"), "no time in epoch milliseconds"),
            (&GOOD.replace("1380874020000.0", "1380873960300"), "not those of a minute"),
            (&GOOD.replace("1380874020000.0", "1380877560000"), "not those of a minute"),
            (&GOOD.replace("12.5", "1.7e308"), "a number from zero to 1e18"),
            (&GOOD.replace("\"h\":11", "\"h\":1e300"), "high is 1"),
        ] {
            match read(text, 7) {
                Event::Bad(reason) => assert!(reason.contains(said), "{reason}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_bar_that_is_refused_is_kept_as_the_event_that_it_came_as() {
        let more = GOOD.replacen('{', r#"{"z":12.0,"otc":true,"vw":10.25,"#, 1);
        for text in [GOOD, more.as_str()] {
            assert_eq!(bar(&of(&bar(text)).to_string()), bar(text));
        }
    }

    #[test]
    fn kinds_that_are_not_asked_for_are_let_pass_even_where_their_keys_mean_something_else() {
        let trade = r#"{"ev":"T","sym":"AAPL","s":3,"c":[14,41],"z":3}"#;
        assert_eq!(read(trade, 7), Event::Other);
    }

    #[test]
    fn a_frame_is_an_array_or_one_event() {
        assert_eq!(split(&format!("[{GOOD}, {GOOD}]")).unwrap().len(), 2);
        assert_eq!(split(GOOD).unwrap().len(), 1);
        assert!(split("[{\"ev\":").unwrap_err().contains("no JSON array"));
        assert!(split("hello").is_err());
        let of = |events: usize| format!("[{}]", vec!["1"; events].join(","));
        assert_eq!(split(&of(MOST_EVENTS)).unwrap().len(), MOST_EVENTS);
        assert!(split(&of(MOST_EVENTS + 1)).unwrap_err().contains("more than 150000"));
    }

    #[test]
    fn a_frame_of_nothing_but_good_bars_is_read_in_one_pass_and_any_other_event_by_event() {
        let frame = |other: &str| format!("[{GOOD},{other}]");
        assert_eq!(only_bars(&frame(GOOD), 7), Some(vec![bar(GOOD), bar(GOOD)]));
        for other in [
            r#"{"ev":"status","status":"connected","message":"x"}"#,
            r#"{"ev":"T","sym":"AAPL","s":3,"c":[14,41],"z":3}"#,
            &GOOD.replace("12.5", "-1"),
            &GOOD.replace("AM", "A"),
            "7",
        ] {
            assert_eq!(only_bars(&frame(other), 7), None, "{other}");
        }
    }

    /// Minutes of a symbol in three centuries: no aggregate adds up more bars.
    const MOST_BARS: f64 = 300.0 * 366.0 * 24.0 * 60.0;

    proptest::proptest! {
        #[test]
        fn whatever_a_frame_says_the_sums_over_its_bars_are_finite(
            figures in proptest::array::uniform10(proptest::prop_oneof![
                3 => 1.0..1e16_f64, 1 => 0.0..2e-15, 1 => 1e17..1e19_f64, 1 => proptest::num::f64::NORMAL,
            ]),
            minute in -40_000_000..130_000_000_i64, length in proptest::prop_oneof![60_000..60_001_i64, 0..200_000_i64],
            is_ordered: bool,
        ) {
            let [mut o, mut h, mut l, mut c, v, vw, av, op, a, z] = figures;
            if is_ordered {
                (h, l) = (o.max(c).max(h), o.min(c).min(l));
                (o, c) = (o.clamp(l, h), c.clamp(l, h));
            }
            let s = minute * MINUTE;
            let frame = serde_json::json!([{
                "ev": "AM", "sym": "AAPL", "o": o, "h": h, "l": l, "c": c, "v": v, "vw": vw, "av": av, "op": op,
                "a": a, "z": z, "s": s, "e": s + length,
            }]);
            for bar in only_bars(&frame.to_string(), 7).unwrap_or_default() {
                bar.check().unwrap();
                let sums = [bar.volume * bar.high, (bar.high / bar.low).ln().powi(2), bar.high * bar.high];
                let optional = [
                    bar.vwap, bar.accumulated_volume, bar.official_open_price, bar.aggregate_vwap, bar.average_size,
                ];
                for sum in sums.into_iter().chain(optional.into_iter().flatten()) {
                    proptest::prop_assert!((sum * MOST_BARS).is_finite());
                }
                proptest::prop_assert!(bar.is_of_a_minute());
            }
        }

        #[test]
        fn no_text_of_a_frame_does_any_harm(text in "\\PC*|[-\\[\\]{}\",:.0-9evAMsymT null]{0,80}") {
            for event in split(&text).into_iter().flatten() {
                read(event.get(), 7);
            }
        }

        #[test]
        fn whatever_is_said_beside_them_good_events_of_a_frame_are_read(
            number in proptest::num::f64::ANY, text in ".{0,30}", at in 0..3_usize,
        ) {
            let number = serde_json::to_string(&number).unwrap_or_default();
            let text = serde_json::to_string(&text).unwrap_or_default();
            let other = format!(r#"{{"ev":"AM","sym":{text},"v":{number},"o":{number},"c":1,"h":1,"l":1,"s":{number}}}"#);
            let mut events = vec![GOOD; 2];
            events.insert(at, &other);
            let frame = format!("[{}]", events.join(","));
            let read_again = split(&frame).unwrap().into_iter().filter(|event| {
                matches!(read(event.get(), 7), Event::Bar(bar) if bar.symbol == "AAPL" && bar.volume == 12.5)
            });
            assert_eq!(read_again.count(), 2);
            if let Some(bars) = only_bars(&frame, 7) {
                assert_eq!(bars, [bar(events[0]), bar(events[1]), bar(events[2])]);
            }
        }
    }
}
