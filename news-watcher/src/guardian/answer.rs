//! What the Content API answers: articles, and refusals in two shapes.

use std::time::Duration;

use feed::news::{BadItem, Item};
use model::time::{self, Millis};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::api::PAGE_SIZE;
use super::plain::plain;

/// The longest headline that is looked at, in bytes: markup makes it longer than what
/// is left of it.
const LONGEST_MARKUP: usize = 64 << 10;

/// A page of results.
#[derive(Debug)]
pub(crate) struct Page {
    /// In the server's order.
    pub(crate) items: Vec<Result<Item, BadItem>>,
    /// Results on all pages.
    pub(crate) total: u64,
    /// The number of pages.
    pub(crate) pages: u64,
    /// The server's clock, where it said.
    pub(crate) date: Option<Millis>,
}

/// Why a call brought no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The key is not accepted; asking again soon does not help.
    Key(String),
    /// Too many calls; to be left alone for so long, where it says.
    TooMany(Option<Duration>),
    /// There is no such page any more.
    BeyondTheEnd,
    /// The page lies deeper than the server goes.
    TooDeep,
    /// The search itself is refused.
    Search(String),
    /// No answer, or none that can be read; this may pass.
    Trouble {
        /// What happened.
        said: String,
        /// To be left alone for so long, where the server says.
        wait: Option<Duration>,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status: String,
    total: Option<u64>,
    pages: Option<u64>,
    #[serde(borrow, default)]
    results: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    id: String,
    r#type: Option<String>,
    section_id: Option<String>,
    section_name: Option<String>,
    pillar_name: Option<String>,
    web_title: Option<String>,
    web_url: String,
    web_publication_date: Option<String>,
    fields: Option<Fields>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    headline: Option<String>,
    first_publication_date: Option<String>,
    last_modified: Option<String>,
}

/// Reads a page; one bad result costs no other.
pub(crate) fn page(body: &[u8], date: Option<Millis>) -> Result<Page, CallError> {
    let trouble = |said: String| CallError::Trouble { said, wait: None };
    let envelope: Envelope<'_> = serde_json::from_slice(body)
        .map_err(|error| trouble(format!("the answer is no page of results: {error}")))?;
    let response = envelope.response;
    let (Some(total), "ok") = (response.total, response.status.as_str()) else {
        return Err(refusal(400, body));
    };
    if response.results.len() > PAGE_SIZE {
        let (found, most) = (response.results.len(), PAGE_SIZE);
        return Err(trouble(format!("the answer has {found} results, where at most {most} were asked for")));
    }
    let items = response.results.iter().map(|raw| item(raw.get())).collect();
    Ok(Page { items, total, pages: response.pages.unwrap_or(1), date })
}

/// Reads one result.
pub(crate) fn item(raw: &str) -> Result<Item, BadItem> {
    let bad = |reason: String| BadItem { reason, raw: raw.into() };
    let found: Found = serde_json::from_str(raw).map_err(|error| bad(error.to_string()))?;
    let instant = |text: &Option<String>| match text {
        Some(text) => time::parse(text).map(Some).map_err(|error| bad(error.to_string())),
        None => Ok(None),
    };
    let fields = found.fields.unwrap_or_default();
    let published = instant(&found.web_publication_date)?;
    let published = published.or(instant(&fields.first_publication_date)?);
    for text in [&fields.headline, &found.web_title].into_iter().flatten() {
        if text.len() > LONGEST_MARKUP {
            return Err(bad(format!("a headline of {} bytes is none", text.len())));
        }
    }
    let headline = fields.headline.as_deref().map(plain).filter(|text| !text.is_empty());
    Ok(Item {
        published: published.ok_or_else(|| bad("it has no date of publication".into()))?,
        updated: instant(&fields.last_modified)?,
        headline: headline.or(found.web_title.as_deref().map(plain)).unwrap_or_default(),
        id: found.id,
        kind: found.r#type,
        section_id: found.section_id,
        section_name: found.section_name,
        pillar: found.pillar_name,
        url: found.web_url,
        raw: raw.into(),
    })
}

#[derive(Deserialize)]
struct Refusal {
    response: Option<Message>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    message: Option<String>,
}

/// Reads an answer that is no page.
pub(crate) fn refusal(status: u16, body: &[u8]) -> CallError {
    let said = message(body).unwrap_or_else(|| "no reason given".into());
    match status {
        401 | 403 => CallError::Key(said),
        429 => CallError::TooMany(None),
        400 if said.contains("beyond the number of available pages") => CallError::BeyondTheEnd,
        400 if said.contains("paging this far") => CallError::TooDeep,
        400 | 404 | 410 | 414 | 422 => CallError::Search(said),
        _ => CallError::Trouble { said: format!("HTTP {status}: {said}"), wait: None },
    }
}

/// The words of a refusal, in either shape.
fn message(body: &[u8]) -> Option<String> {
    const LONGEST: usize = 300;
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let said = refusal.response.and_then(|response| response.message).or(refusal.message)?;
    // Looked at only as far as it is passed on, markup included.
    let start: String = said.chars().take(10 * LONGEST).collect();
    Some(plain(&start).chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_in_both_shapes() {
        let wrapped = |said: &str| format!(r#"{{"response":{{"status":"error","message":"{said}"}}}}"#);
        let beyond = wrapped("requested page is beyond the number of available pages");
        let deep = wrapped("Content API does not support paging this far. Please change page");
        assert_eq!(refusal(400, beyond.as_bytes()), CallError::BeyondTheEnd);
        assert_eq!(refusal(400, deep.as_bytes()), CallError::TooDeep);
        assert_eq!(refusal(400, wrapped("bad date").as_bytes()), CallError::Search("bad date".into()));
        assert_eq!(refusal(401, br#"{"message":"Unauthorized"}"#), CallError::Key("Unauthorized".into()));
        assert_eq!(refusal(429, b""), CallError::TooMany(None));
        let CallError::Trouble { said, .. } = refusal(502, b"<html>") else { panic!("502 may pass") };
        assert_eq!(said, "HTTP 502: no reason given");
        // An error within a success.
        assert_eq!(page(wrapped("bad q").as_bytes(), None).unwrap_err(), CallError::Search("bad q".into()));
    }

    #[test]
    fn a_bad_result_costs_no_other() {
        let good = r#"{"id":"a/b","webTitle":"A <b>B</b>","webUrl":"https://e.org","webPublicationDate":"2014-09-10T16:10:21Z","wordcount":7}"#;
        let bad = [
            r#"{"webTitle":"no id","webUrl":"https://e.org"}"#,
            r#"{"id":7,"webUrl":"https://e.org"}"#,
            r#"{"id":"a","webUrl":"https://e.org"}"#,
            r#"{"id":"a","webUrl":"https://e.org","webPublicationDate":"soon"}"#,
            "17",
        ];
        let results = [&bad[..], &[good]].concat().join(",");
        let body = format!(r#"{{"response":{{"status":"ok","total":6,"pages":1,"results":[{results}]}}}}"#);
        let page = page(body.as_bytes(), None).unwrap();
        assert_eq!(page.items.iter().filter(|item| item.is_err()).count(), bad.len());
        let item = page.items.into_iter().last().unwrap().unwrap();
        assert_eq!((item.headline.as_str(), item.published), ("A B", 1_410_365_421_000));
    }

    #[test]
    fn more_results_than_were_asked_for_and_a_headline_of_megabytes_are_refused() {
        let of = |results: usize| {
            let results = vec!["1"; results].join(",");
            let body = format!(r#"{{"response":{{"status":"ok","total":1,"results":[{results}]}}}}"#);
            page(body.as_bytes(), None)
        };
        assert_eq!(of(PAGE_SIZE).unwrap().items.len(), PAGE_SIZE);
        let Err(CallError::Trouble { said, .. }) = of(PAGE_SIZE + 1) else { panic!("too many results") };
        assert!(said.contains("at most 50 were asked for"), "{said}");
        let huge = "<a".repeat(4 << 20);
        let huge = format!(
            r#"{{"id":"a","webTitle":"{huge}","webUrl":"https://e.org","webPublicationDate":"2014-09-10T16:10:21Z"}}"#
        );
        assert!(item(&huge).unwrap_err().reason.contains("8388608 bytes"));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_does_any_harm(body: Vec<u8>, status in 100..600_u16, text in "[-\\[\\]{}\",:.0-9a-z]{0,80}") {
            let _ = page(&body, None);
            let _ = page(text.as_bytes(), None);
            let _ = item(&text);
            refusal(status, &body);
        }

        #[test]
        fn whatever_stands_beside_them_good_results_are_read(text in ".{0,30}", number: i64, at in 0..3_usize) {
            let good = r#"{"id":"a/b","webTitle":"A","webUrl":"https://e.org","webPublicationDate":"2014-09-10T16:10:21Z"}"#;
            let text = serde_json::to_string(&text).unwrap();
            let other = format!(r#"{{"id":{number},"webTitle":{text},"webUrl":{text},"webPublicationDate":{text}}}"#);
            let mut results = vec![good; 2];
            results.insert(at, &other);
            let results = results.join(",");
            let body = format!(r#"{{"response":{{"status":"ok","total":3,"pages":1,"results":[{results}]}}}}"#);
            assert_eq!(page(body.as_bytes(), None).unwrap().items.iter().flatten().count(), 2);
        }
    }
}
