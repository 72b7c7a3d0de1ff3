//! The text of queries and of deletions. Whatever comes from outside goes
//! through [`text`] or [`predicate_text`], and nothing is joined in raw.

use std::fmt::Write;

use super::lines::NO_TAG;

/// A query in the making: which points of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Flux(String);

impl Flux {
    /// The points of a measurement with times from `from` up to but not including
    /// `to`, in nanoseconds.
    pub(super) fn points(bucket: &str, measurement: &str, from: i64, to: i64) -> Flux {
        // The server's own bounds: beyond them it knows no time.
        let (from, to) = (from.max(i64::MIN + 2), to.min(i64::MAX - 1));
        Flux(format!(
            "from(bucket: {}) |> range(start: time(v: {from}), stop: time(v: {to})) |> filter(fn: (r) => r._measurement == {})",
            text(bucket),
            text(measurement)
        ))
    }

    /// Only this field.
    pub(super) fn field(self, field: &str) -> Flux {
        let field = text(field);
        self.then(&format!("filter(fn: (r) => r._field == {field})"))
    }

    /// Only points whose tags are one of these lists.
    pub(super) fn any_of(self, series: &[Vec<(&str, &str)>]) -> Flux {
        let one = |tags: &Vec<(&str, &str)>| match tags.as_slice() {
            [] => "true".to_owned(),
            tags => tags.iter().map(|(tag, value)| equal(tag, value)).collect::<Vec<_>>().join(" and "),
        };
        let any: Vec<_> = series.iter().map(|tags| format!("({})", one(tags))).collect();
        self.then(&format!("filter(fn: (r) => {})", any.join(" or ")))
    }

    /// The last value of every field and tags.
    pub(super) fn last(self) -> Flux {
        self.then("last()")
    }

    /// At most so many values of every field and tags, the newest or the oldest.
    pub(super) fn limit(self, limit: usize, newest: bool) -> Flux {
        let sorted = if newest { self.then("sort(columns: [\"_time\"], desc: true)") } else { self };
        sorted.then(&format!("limit(n: {limit})"))
    }

    /// The query with only the columns that are read: tags, time, field and value.
    pub(super) fn keep(self, tags: &[String]) -> String {
        let tags: String = tags.iter().map(|tag| format!("{}, ", text(tag))).collect();
        self.then(&format!("keep(columns: [{tags}\"_time\", \"_field\", \"_value\"])")).0
    }

    fn then(mut self, step: &str) -> Flux {
        self.0.push_str(" |> ");
        self.0.push_str(step);
        self
    }
}

fn equal(tag: &str, value: &str) -> String {
    format!("r[{}] == {}", text(tag), text(as_written(value)))
}

/// A tag's value as it stands in a line.
fn as_written(value: &str) -> &str {
    if value.is_empty() { NO_TAG } else { value }
}

/// A text of Flux: nothing in it ends it or is put in its place.
fn text(value: &str) -> String {
    let mut literal = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            // `${…}` would be evaluated.
            '$' => literal.push_str("\\x24"),
            character if character.is_ascii_control() => {
                let _ = write!(literal, "\\x{:02x}", u32::from(character));
            }
            character => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

/// Which points a deletion takes: those of exactly these tags.
pub(super) fn predicate(measurement: &str, tags: &[(&str, &str)]) -> String {
    let equal = |(tag, value): &(&str, &str)| format!(" AND {tag}={}", predicate_text(as_written(value)));
    let tags: String = tags.iter().map(equal).collect();
    format!("_measurement={}{tags}", predicate_text(measurement))
}

/// A text of a deletion's predicate.
fn predicate_text(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A time in nanoseconds, in words.
pub(super) fn rfc3339(time: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    let whole = model::time::rfc3339(time.div_euclid(SECOND) * 1_000);
    let whole = whole.trim_end_matches('Z');
    let whole = whole.split_once('.').map_or(whole, |(whole, _)| whole);
    format!("{whole}.{:09}Z", time.rem_euclid(SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_more_than_a_text() {
        assert_eq!(text("A\") |> drop()"), "\"A\\\") |> drop()\"");
        assert_eq!(text("${os.env()}\\\n"), "\"\\x24{os.env()}\\\\\\x0a\"");
        assert_eq!(
            predicate("m", &[("tag", "a\" OR \"b\\")]),
            "_measurement=\"m\" AND tag=\"a\\\" OR \\\"b\\\\\""
        );
    }

    #[test]
    fn a_query_asks_for_what_is_read_and_no_more() {
        let query = Flux::points("events", "volatility", 0, 5).any_of(&[vec![("symbol", "A"), ("term", "")]]);
        assert_eq!(
            query.limit(3, false).keep(&["symbol".into(), "term".into()]),
            "from(bucket: \"events\") |> range(start: time(v: 0), stop: time(v: 5)) \
             |> filter(fn: (r) => r._measurement == \"volatility\") \
             |> filter(fn: (r) => (r[\"symbol\"] == \"A\" and r[\"term\"] == \" \")) \
             |> limit(n: 3) |> keep(columns: [\"symbol\", \"term\", \"_time\", \"_field\", \"_value\"])"
        );
    }

    #[test]
    fn times_are_said_to_the_nanosecond() {
        assert_eq!(rfc3339(1_380_873_960_000_000_042), "2013-10-04T08:06:00.000000042Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
