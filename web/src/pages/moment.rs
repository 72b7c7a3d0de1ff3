//! A time on a page: readable as it is, and put into the reader's zone by a script.

use std::fmt::Write;

use askama::filters::{Escaper, Safe};
use model::time::{self, Millis};

use crate::escape::Page;

/// A time; shown as a `<time>` with everything that a script needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Millis);

impl Moment {
    /// As templates can say it: they pass everything by reference. It is HTML already.
    pub(crate) fn of(at: &Millis) -> Safe<Moment> {
        Safe(Moment(*at))
    }

    /// A sentence, as HTML, with each time in it that is written as [`clock`] writes it
    /// as one that a script puts into the reader's zone.
    pub(crate) fn within(sentence: &str) -> Safe<String> {
        let (mut html, mut rest) = (String::new(), sentence);
        while let Some(end) = rest.find(ZONE) {
            let (before, after) = (&rest[..end], &rest[end + ZONE.len()..]);
            let start = end.checked_sub(WRITTEN.len()).filter(|start| before.is_char_boundary(*start));
            let at = start
                .filter(|start| is_written(&before[*start..]))
                .and_then(|start| Some((start, time::parse(&before[start..]).ok()?)));
            // A string takes whatever is written to it.
            let _ = match at {
                Some((start, at)) => Page
                    .write_escaped_str(&mut html, &before[..start])
                    .and_then(|()| write!(html, "{}", Moment(at))),
                None => Page.write_escaped_str(&mut html, &rest[..end + ZONE.len()]),
            };
            rest = after;
        }
        let _ = Page.write_escaped_str(&mut html, rest);
        Safe(html)
    }
}

impl std::fmt::Display for Moment {
    /// As HTML; it holds nothing that would need escaping.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, iso) = (self.0, time::rfc3339(self.0));
        write!(f, "<time datetime=\"{iso}\" data-at=\"{at}\">{}</time>", clock(time::minute_of(at)))
    }
}

/// The form of [`clock`], and the zone after it.
const WRITTEN: &str = "0000-00-00 00:00";
const ZONE: &str = " UTC";

fn is_written(text: &str) -> bool {
    text.len() == WRITTEN.len()
        && text.bytes().zip(WRITTEN.bytes()).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        })
}

/// A time as pages write it before a script puts it into the reader's zone.
pub(crate) fn clock(at: Millis) -> String {
    time::rfc3339(at).replace('T', " ").replace(":00Z", " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_in_a_sentence_are_put_into_the_reader_s_zone_and_the_rest_stays() {
        let sentence = "A<b>: x from 2013-10-11 15:29 UTC to 2013-10-11 15:30 UTC (1 minute), ü UTC.";
        let html = Moment::within(sentence).0;
        let [first, second] = [1_381_505_340_000, 1_381_505_400_000].map(|at| Moment(at).to_string());
        assert_eq!(html, format!("A&#60;b&#62;: x from {first} to {second} (1 minute), ü UTC."));
        for odd in ["", " UTC", "2013-99-11 15:30 UTC", "ü013-10-11 15:30 UTC", "x UTC UTC"] {
            assert_eq!(Moment::within(odd).0, odd);
        }
    }

    #[test]
    fn a_time_is_written_with_its_year() {
        assert_eq!(clock(1_381_505_400_000), "2013-10-11 15:30 UTC");
        let moment = Moment(1_381_505_459_000).to_string();
        assert_eq!(
            moment,
            "<time datetime=\"2013-10-11T15:30:59Z\" data-at=\"1381505459000\">2013-10-11 15:30 UTC</time>"
        );
    }
}
