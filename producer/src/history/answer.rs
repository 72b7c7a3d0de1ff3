//! What an answer of the history says.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::time::{MINUTE, Millis};
use wire::{Bar, DeadLetter, Source};

use crate::sources::whole_millis;

/// One page of bars.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Good bars, by start.
    pub(crate) bars: Vec<Bar>,
    /// Results that are no good bars.
    pub(crate) letters: Vec<DeadLetter>,
    /// Where the next page is, as the server says.
    pub(crate) next: Option<String>,
}

/// No key is certain but `status`, and even that says `DELAYED` where all is well.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    results: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    next_url: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Aggregate {
    o: f64,
    h: f64,
    l: f64,
    c: f64,
    v: f64,
    t: f64,
    vw: Option<f64>,
    otc: Option<bool>,
}

/// The words with which the server explains itself, whatever shape they come in.
pub(super) fn explanation(body: &str) -> String {
    let said = serde_json::from_str::<Envelope<'_>>(body)
        .ok()
        .and_then(|envelope| envelope.error.or(envelope.message));
    let said = said.unwrap_or(Cow::Borrowed(body.trim()));
    let cut: String = said.chars().take(300).collect();
    if cut.is_empty() { "no explanation".into() } else { cut }
}

/// Reads a page that was received at `received`.
///
/// # Errors
/// When it is no answer, or says that it is none.
pub(super) fn page(body: &str, symbol: &str, received: Millis) -> Result<Page, String> {
    let envelope: Envelope<'_> =
        serde_json::from_str(body).map_err(|error| format!("the answer cannot be read: {error}"))?;
    if !matches!(&*envelope.status, "OK" | "DELAYED") {
        return Err(format!("the answer has status `{}`: {}", envelope.status, explanation(body)));
    }
    let mut page = Page { next: envelope.next_url.map(Cow::into_owned), ..Page::default() };
    for result in envelope.results.unwrap_or_default() {
        match bar(result.get(), symbol, received) {
            Ok(bar) => page.bars.push(bar),
            Err(reason) => {
                let source = format!("{}:{symbol}", Source::PolygonHistory);
                page.letters.push(DeadLetter::new(source, reason, result.get().as_bytes(), received));
            }
        }
    }
    Ok(page)
}

/// Reads one result.
///
/// # Errors
/// Why it is no good bar.
pub(crate) fn bar(result: &str, symbol: &str, received: Millis) -> Result<Bar, String> {
    let read: Aggregate =
        serde_json::from_str(result).map_err(|error| format!("the minute bar cannot be read: {error}"))?;
    let start = whole_millis(read.t)?;
    let bar = Bar {
        symbol: symbol.to_owned(),
        open: read.o,
        high: read.h,
        low: read.l,
        close: read.c,
        vwap: read.vw,
        volume: read.v,
        accumulated_volume: None,
        official_open_price: None,
        aggregate_vwap: None,
        average_size: None,
        start_timestamp: start,
        end_timestamp: start.saturating_add(MINUTE),
        otc: read.otc,
        source: Source::PolygonHistory,
        received_timestamp: received,
        complete_until: 0,
        position: None,
    };
    bar.check().map_err(|bad| bad.to_string())?;
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_range_has_no_results_and_delayed_is_as_good_as_ok() {
        for status in ["OK", "DELAYED"] {
            let body = format!(r#"{{"status":"{status}","resultsCount":0,"queryCount":0}}"#);
            let page = page(&body, "AAPL", 7).unwrap();
            assert!(page.bars.is_empty() && page.next.is_none());
        }
        let error = page(r#"{"status":"ERROR","error":"odd"}"#, "AAPL", 7).unwrap_err();
        assert!(error.contains("odd"), "{error}");
        assert!(page("{\"status\":\"OK\",\"results\":[{\"o\":1", "AAPL", 7).is_err());
    }

    #[test]
    fn a_bad_result_costs_nothing_but_itself() {
        let body = r#"{"status":"OK","next_url":"https://elsewhere/x?cursor=y","results":[
            {"o":1,"h":2,"l":1,"c":2,"v":3.5,"t":1380873960000,"n":4},
            {"o":1,"h":2,"l":1,"c":9,"v":3,"t":1380873960000},
            {"o":1}]}"#;
        let page = page(body, "AAPL", 7).unwrap();
        assert_eq!((page.bars.len(), page.letters.len()), (1, 2));
        assert_eq!((page.bars[0].volume, page.bars[0].source), (3.5, Source::PolygonHistory));
        assert!(page.letters[0].reason.contains("close 9 lies outside"), "{}", page.letters[0].reason);
        assert_eq!(page.letters[0].source, "polygon-history:AAPL");
    }

    #[test]
    fn the_explanation_is_found_in_either_shape_or_in_none() {
        assert_eq!(explanation(r#"{"status":"ERROR","error":"Unknown API Key"}"#), "Unknown API Key");
        assert_eq!(explanation(r#"{"message":"not entitled"}"#), "not entitled");
        assert_eq!(explanation("<html>busy</html>"), "<html>busy</html>");
        assert_eq!(explanation(" "), "no explanation");
    }
}
