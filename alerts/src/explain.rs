//! Composes the explanation of an alert: why its episode opened or closed, in one sentence.

use control::rules::Rule;
use model::alert::Comparison;
use model::time::{self, DAY, MINUTE, Millis};

use crate::partition::{Episode, Row, Side};
use crate::service::Reason;

/// For an episode that opens.
pub(crate) fn opened(rule: &Rule, row: &Row, episode: &Episode) -> String {
    let what = format!(
        "{}: {} was {} in the {}, {} {}.",
        row.symbol,
        rule.signal,
        number(episode.value),
        window(row),
        rule.comparison,
        number(rule.threshold)
    );
    with_meaning(what, rule)
}

/// For a crossing.
pub(crate) fn crossed(rule: &Rule, row: &Row, episode: &Episode, to: Side) -> String {
    let passed = match to {
        Side::Above => "rose",
        Side::Below => "fell",
    };
    let what = format!(
        "{}: {} {passed} through {} to {} in the {}.",
        row.symbol,
        rule.signal,
        number(rule.threshold),
        number(episode.value),
        window(row)
    );
    with_meaning(what, rule)
}

/// For an episode that closes; `value` is the signal of the closing window.
pub(crate) fn closed(rule: &Rule, row: &Row, episode: &Episode, value: f64) -> String {
    let what = format!("{}, and came back to {}.", duration_phrase(rule, row, episode), number(value));
    with_meaning(what, rule)
}

/// For an episode that ends because its rule was changed or removed.
pub(crate) fn ended(rule: &Rule, row: &Row, episode: &Episode, reason: Reason) -> String {
    let why = match reason {
        Reason::Removed => "removed",
        Reason::Off => "switched off for it",
        Reason::Changed => "changed",
    };
    with_meaning(format!("{}, when the rule was {why}.", duration_phrase(rule, row, episode)), rule)
}

fn duration_phrase(rule: &Rule, row: &Row, episode: &Episode) -> String {
    let farthest = match rule.comparison {
        Comparison::Below => "least",
        _ => "most",
    };
    format!(
        "{}: {} was {} {} from {} to {} ({}), {} at {farthest}",
        row.symbol,
        rule.signal,
        rule.comparison,
        number(episode.threshold),
        clock(episode.opened),
        clock(row.window_end),
        length(row.window_end - episode.opened),
        number(episode.extreme)
    )
}

fn with_meaning(mut what: String, rule: &Rule) -> String {
    if !rule.meaning.is_empty() {
        what.push(' ');
        what.push_str(&rule.meaning);
    }
    what
}

fn window(row: &Row) -> String {
    format!("{} to {}", length(row.window_end - row.window_start), clock(row.window_end))
}

/// An event time, rounded down to the minute: `2013-10-04 14:30 UTC`.
fn clock(at: Millis) -> String {
    let text = time::rfc3339(time::minute_of(at));
    text.strip_suffix(":00Z").unwrap_or(&text).replace('T', " ") + " UTC"
}

fn length(span: Millis) -> String {
    let counted = |count: Millis, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match span {
        days if days >= 2 * DAY => counted(days / DAY, "day"),
        minutes => counted(minutes / MINUTE, "minute"),
    }
}

/// A number with four significant digits; the alert itself contains it in full.
fn number(value: f64) -> String {
    const DIGITS: i32 = 4;
    if value == 0.0 || !(1e-6..1e12).contains(&value.abs()) {
        return format!("{value}");
    }
    let decimals = (DIGITS - 1 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{row, rule};

    const START: Millis = 1_380_895_200_000; // 2013-10-04 14:00 UTC

    #[test]
    fn an_opening_gives_value_threshold_window_and_meaning() {
        let rule = Rule { meaning: "It jumps.".into(), ..rule("jump", "above 0.5") };
        let row = row("AAPL", START, &[("x", 0.62351)]);
        let episode = Episode { opened: row.window_end, value: 0.62351, extreme: 0.62351, threshold: 0.5 };
        assert_eq!(
            opened(&rule, &row, &episode),
            "AAPL: x was 0.6235 in the 30 minutes to 2013-10-04 14:30 UTC, above 0.5. It jumps."
        );
    }

    #[test]
    fn a_closing_gives_how_long_how_far_and_where_it_came_back_to() {
        let row = row("AAPL", START, &[("x", 20.0)]);
        let episode = Episode { opened: START + 29 * MINUTE, value: 28.0, extreme: 21.5, threshold: 30.0 };
        assert_eq!(
            closed(&rule("low", "below 30"), &row, &episode, 36.0),
            "AAPL: x was below 30 from 2013-10-04 14:29 UTC to 2013-10-04 14:30 UTC (1 minute), 21.5 at least, and came back to 36."
        );
        let text = ended(&rule("low", "below 30"), &row, &episode, Reason::Off);
        assert!(text.ends_with("21.5 at least, when the rule was switched off for it."), "{text}");
    }

    #[test]
    fn numbers_in_sentences_have_four_digits_and_no_idle_zeros() {
        for (value, text) in [
            (0.0, "0"),
            (-2.50, "-2.5"),
            (0.000_123_456, "0.0001235"),
            (123_456.7, "123457"),
            (1200.0, "1200"),
            (99.999_9, "100"),
            (1e-9, "0.000000001"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
