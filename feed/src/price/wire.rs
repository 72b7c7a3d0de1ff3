//! What feeds have to do with nearly every frame and answer: arrays of bounded length, times
//! in milliseconds, bars of a minute.

use std::fmt;

use model::Bar;
use model::time::Millis;
use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The elements of a JSON array, unread, where there are no more than `most`.
///
/// # Errors
/// When it is no array, or holds more.
pub fn at_most(most: usize, array: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    let mut text = serde_json::Deserializer::from_str(array);
    let elements = text.deserialize_seq(AtMost(most))?;
    text.end().map(|()| elements)
}

struct AtMost(usize);

impl<'de> Visitor<'de> for AtMost {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {} elements", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() == self.0 {
                return Err(Error::custom(format!("it holds more than {} elements", self.0)));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

/// A bar from outside, checked. Odd optional figures are left out; a bar of another
/// length than a minute is refused, since measures count each bar as one.
///
/// # Errors
/// The rule that it breaks.
pub fn minute_bar(bar: Bar) -> Result<Bar, String> {
    let bar = bar.without_odd_figures();
    bar.check().map_err(|bad| bad.to_string())?;
    if !bar.is_of_a_minute() {
        let (start, end) = (bar.start_timestamp, bar.end_timestamp);
        return Err(format!("start {start} and end {end} are not those of a minute"));
    }
    Ok(bar)
}

/// A time in whole epoch milliseconds, which may be written as `12.0`.
///
/// # Errors
/// When it is none.
pub fn whole_millis(value: f64) -> Result<Millis, String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        Ok(value as Millis)
    } else {
        Err(format!("{value} is no time in epoch milliseconds"))
    }
}
