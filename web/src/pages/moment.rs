//! A time on a page: readable as it is, and put into the reader's zone by a script.

use wire::time::{self, Millis};

/// A time; shown as a `<time>` with everything that a script needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Millis);

impl Moment {
    /// As templates can say it: they pass everything by reference.
    pub(crate) fn of(at: &Millis) -> Moment {
        Moment(*at)
    }
}

impl std::fmt::Display for Moment {
    /// As HTML; it holds nothing that would need escaping.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, iso) = (self.0, time::rfc3339(self.0));
        write!(f, "<time datetime=\"{iso}\" data-at=\"{at}\">{}</time>", clock(time::minute_of(at)))
    }
}

impl askama::filters::HtmlSafe for Moment {}

/// A time as pages write it before a script puts it into the reader's zone.
pub(crate) fn clock(at: Millis) -> String {
    time::rfc3339(at).replace('T', " ").replace(":00Z", " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

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
