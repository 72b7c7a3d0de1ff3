//! Dead letters of Polygon, read by the rules of today.

use model::{Bar, DeadLetter, Source};

use crate::{history, sources};

/// The minute bars that a letter of the feed or of the history holds.
///
/// # Errors
/// Why it still holds none.
pub fn bars_of_letter(letter: &DeadLetter) -> Result<Vec<Bar>, String> {
    let bytes = letter.bytes().ok_or("only the start of it was kept, so it cannot be read again")?;
    let text = std::str::from_utf8(&bytes).map_err(|error| format!("it is no text: {error}"))?;
    let received = letter.received_timestamp;
    match letter.source.split_once(':') {
        Some((source, symbol)) if source == Source::PolygonHistory.as_str() => {
            history::bar(text, symbol, received).map(|bar| vec![bar])
        }
        _ => sources::bars_of_frame(text, received),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_feed_and_a_result_of_the_history_are_read_again() {
        let event = r#"{"ev":"AM","sym":"AAPL","v":12,"o":10,"c":10.5,"h":11,"l":9,"s":1380873960000}"#;
        let of =
            |source: &str, text: &str| bars_of_letter(&DeadLetter::new(source, "why", text.as_bytes(), 7));
        let bars = of("polygon", event).unwrap();
        assert_eq!(
            (bars[0].symbol.as_str(), bars[0].received_timestamp, bars[0].source),
            ("AAPL", 7, Source::Polygon)
        );
        assert_eq!(of("polygon", &format!("[{event},{event}]")).unwrap().len(), 2);
        let result = r#"{"t":1380873960000,"o":10,"c":10.5,"h":11,"l":9,"v":12}"#;
        let bars = of("polygon-history:MSFT", result).unwrap();
        assert_eq!((bars[0].symbol.as_str(), bars[0].source), ("MSFT", Source::PolygonHistory));
    }

    #[test]
    fn what_is_still_no_bar_is_told_with_the_reason() {
        for (text, said) in [
            ("[{\"ev\":\"AM\"", "no JSON array"),
            (r#"{"ev":"AM","sym":"AAPL"}"#, "missing field"),
            (r#"{"ev":"T","sym":"AAPL"}"#, "no minute bar"),
        ] {
            let error = bars_of_letter(&DeadLetter::new("polygon", "why", text.as_bytes(), 7)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
