//! Polygon's history of minute bars over REST: how it is asked, and what its answers say.

use std::borrow::Cow;

use feed::price::wire::{at_most, minute_bar, whole_millis};
use feed::price::{Answer, HistoryFailure, Page, Stretch};

use model::time::{MINUTE, Millis};
use model::{Bar, DeadLetter, Source};
use net::redact;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::PolygonFeed;

/// Results on a page; the server gives no more than so many.
const MOST_RESULTS: usize = 50_000;
/// Results of one page that are kept as dead letters when they are no good bars; more
/// are counted alone, so that an answer full of them does not fill the log.
const MOST_LETTERS: usize = 1_000;

impl PolygonFeed {
    /// Asks for a page; see the driver.
    pub(super) fn page_request(
        &self,
        http: &Client,
        stretch: &Stretch,
        next: Option<&str>,
    ) -> Result<RequestBuilder, HistoryFailure> {
        let mut url = self.rest.clone();
        match next {
            None => {
                let (from, to) = (stretch.from.to_string(), (stretch.to - 1).to_string());
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty();
                    path.extend([
                        "v2",
                        "aggs",
                        "ticker",
                        &stretch.symbol,
                        "range",
                        "1",
                        "minute",
                        &from,
                        &to,
                    ]);
                }
                // Live bars are not adjusted for later splits, so neither is what stands beside them.
                url.query_pairs_mut().extend_pairs([
                    ("adjusted", "false"),
                    ("sort", "asc"),
                    ("limit", &MOST_RESULTS.to_string()),
                ]);
            }
            Some(next) => {
                let named = Url::parse(next)
                    .or_else(|_| self.rest.join(next))
                    .map_err(|_| HistoryFailure::Refused("it names a next page that is no address".into()))?;
                // Whatever host the answer names, the key goes only where it was set to go.
                url.set_path(named.path());
                url.set_query(named.query());
            }
        }
        Ok(http.get(url).bearer_auth(self.settings.api_key.expose()))
    }

    /// What an answer means; see the driver.
    pub(super) fn page_answer(
        &self,
        stretch: &Stretch,
        status: StatusCode,
        body: &[u8],
        asked: Millis,
    ) -> Answer {
        if status.is_success() {
            return page(body, &stretch.symbol, asked).map_or_else(Answer::Retry, Answer::Page);
        }
        let said = redact(&explanation(body), &[&self.settings.api_key]);
        match status.as_u16() {
            401 => Answer::Failed(HistoryFailure::NoAccess(said)),
            403 if said.contains("entitled") || said.contains("API Key") || said.contains("API key") => {
                Answer::Failed(HistoryFailure::NoAccess(said))
            }
            408 | 413 | 499 | 500.. => Answer::Retry(format!("status {status}: {said}")),
            _ => Answer::Failed(HistoryFailure::Refused(format!("status {status}: {said}"))),
        }
    }
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
    ticker: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    results: Option<&'a RawValue>,
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
fn explanation(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Envelope<'_>>(body)
        .ok()
        .and_then(|envelope| envelope.error.or(envelope.message));
    let start = &body[..body.len().min(4 * LONGEST_EXPLANATION)];
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(start));
    let cut: String = said.trim().chars().take(LONGEST_EXPLANATION).collect();
    if cut.is_empty() { "no explanation".into() } else { cut }
}

/// Characters of an explanation that are passed on.
const LONGEST_EXPLANATION: usize = 300;

/// Reads a page that was received at `received`.
///
/// # Errors
/// When it is no answer, says that it is none, or is one about another symbol.
fn page(body: &[u8], symbol: &str, received: Millis) -> Result<Page, String> {
    let unreadable = |error| format!("the answer cannot be read: {error}");
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    if !matches!(&*envelope.status, "OK" | "DELAYED") {
        return Err(format!("the answer has status `{}`: {}", envelope.status, explanation(body)));
    }
    if let Some(ticker) = envelope.ticker.filter(|ticker| *ticker != symbol) {
        let ticker: String = ticker.chars().take(model::symbol::MAX_LENGTH).collect();
        return Err(format!("the answer is about `{ticker}`, not about {symbol}"));
    }
    let results = envelope.results.map(|results| at_most(MOST_RESULTS, results.get()));
    let results = results.transpose().map_err(unreadable)?.unwrap_or_default();
    let mut page = Page { next: envelope.next_url.map(Cow::into_owned), ..Page::default() };
    for result in results {
        match bar(result.get(), symbol, received) {
            Ok(bar) => page.bars.push(bar),
            Err(reason) => {
                page.rejected += 1;
                if page.letters.len() < MOST_LETTERS {
                    let source = format!("{}:{symbol}", Source::PolygonHistory);
                    page.letters.push(DeadLetter::new(source, reason, result.get().as_bytes(), received));
                }
            }
        }
    }
    Ok(page)
}

/// Reads one result.
///
/// # Errors
/// Why it is no good bar.
pub(super) fn bar(result: &str, symbol: &str, received: Millis) -> Result<Bar, String> {
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
    minute_bar(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_range_has_no_results_and_delayed_is_as_good_as_ok() {
        for status in ["OK", "DELAYED"] {
            let body = format!(r#"{{"status":"{status}","resultsCount":0,"queryCount":0}}"#);
            let page = page(body.as_bytes(), "AAPL", 7).unwrap();
            assert!(page.bars.is_empty() && page.next.is_none());
        }
        let error = page(br#"{"status":"ERROR","error":"odd"}"#, "AAPL", 7).unwrap_err();
        assert!(error.contains("odd"), "{error}");
        assert!(page(b"{\"status\":\"OK\",\"results\":[{\"o\":1", "AAPL", 7).is_err());
    }

    #[test]
    fn a_bad_result_costs_nothing_but_itself() {
        let body = r#"{"status":"OK","next_url":"https://elsewhere/x?cursor=y","results":[
            {"o":1,"h":2,"l":1,"c":2,"v":3.5,"t":1380873960000,"n":4},
            {"o":1,"h":2,"l":1,"c":9,"v":3,"t":1380873960000},
            {"o":1}]}"#;
        let page = page(body.as_bytes(), "AAPL", 7).unwrap();
        assert_eq!((page.bars.len(), page.letters.len()), (1, 2));
        assert_eq!((page.bars[0].volume, page.bars[0].source), (3.5, Source::PolygonHistory));
        assert!(page.letters[0].reason.contains("close 9 lies outside"), "{}", page.letters[0].reason);
        assert_eq!(page.letters[0].source, "polygon-history:AAPL");
    }

    #[test]
    fn the_explanation_is_found_in_either_shape_or_in_none() {
        assert_eq!(explanation(br#"{"status":"ERROR","error":"Unknown API Key"}"#), "Unknown API Key");
        assert_eq!(explanation(br#"{"message":"not entitled"}"#), "not entitled");
        assert_eq!(explanation(b"<html>busy</html>"), "<html>busy</html>");
        assert_eq!(explanation(b" "), "no explanation");
    }

    #[test]
    fn an_answer_about_another_symbol_or_with_too_many_results_is_refused() {
        let about = |ticker: &str| format!(r#"{{"status":"OK","ticker":"{ticker}","results":[]}}"#);
        assert!(page(about("AAPL").as_bytes(), "AAPL", 7).is_ok());
        let error = page(about("MSFT").as_bytes(), "AAPL", 7).unwrap_err();
        assert!(error.contains("`MSFT`, not about AAPL"), "{error}");
        let of = |results: usize| {
            let results = vec!["1"; results].join(",");
            page(format!(r#"{{"status":"OK","results":[{results}]}}"#).as_bytes(), "AAPL", 7)
        };
        let most = of(MOST_RESULTS).unwrap();
        assert_eq!((most.rejected, most.letters.len()), (MOST_RESULTS as u64, MOST_LETTERS));
        let error = of(MOST_RESULTS + 1).unwrap_err();
        assert!(error.contains("more than 50000"), "{error}");
    }
}
