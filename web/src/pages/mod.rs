//! The pages: each is one file here and one template, a line in [`routes`] and
//! one in the navigation ([`frame`]).

mod alerts;
mod explore;
mod live;
mod news;
mod status;
mod study;
mod watchlist;

use std::fmt::Write;
use std::sync::Arc;

use askama::Template;
use askama::filters::{Escaper, Safe};
use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use log::LogError;
use model::time::{self, Millis};

use crate::AppState;
use crate::access::{Role, caller};
use crate::error::{Failure, Told, is_of_api, refused};
use crate::escape::Page;
use crate::stalled::Stalled;
use crate::status::{Board, Report};

/// Every page under its address.
pub(crate) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/", get(live::page))
        .route("/news", get(news::page))
        .route("/watchlist", watchlist::routes())
        .route("/study", get(study::page))
        .route("/explore", get(explore::page))
        .merge(alerts::routes())
        .merge(status::routes())
}

/// A page as rendered, which is never kept, or the page that says why not.
async fn shown(site: &AppState, rendered: Result<(StatusCode, String), Failure>) -> Response {
    match rendered {
        Ok((status, page)) => (status, [(header::CACHE_CONTROL, "no-store")], Html(page)).into_response(),
        Err(failure) => failed(site, &failure).await,
    }
}

// What surrounds every page: the navigation, and the notices that nobody may
// overlook.

/// The pages that can be gone to: address and name.
const PAGES: &[(&str, &str)] = &[
    ("/", "Live"),
    ("/news", "News"),
    ("/study", "Event study"),
    ("/alerts", "Alerts"),
    ("/explore", "Explore"),
    ("/watchlist", "Watchlist"),
    ("/status", "Status"),
];

/// What `base.html` needs, under the name `frame` in every page's template.
pub(crate) struct Frame {
    /// The folder of scripts and styles.
    pub(crate) assets: String,
    /// What the services say.
    pub(crate) report: Report,
    /// Whether somebody has signed in here, and may sign out.
    pub(crate) signs_out: bool,
    /// Whether whoever looks may change something.
    pub(crate) may_change: bool,
    /// Whose page it is, where there are names.
    pub(crate) name: Option<String>,
    at: &'static str,
}

impl Frame {
    /// The frame of the page at an address of the navigation, or of none.
    pub(crate) async fn around(site: &AppState, at: &'static str) -> Result<Frame, LogError> {
        let report = site.report().await?;
        Ok(Frame { report, at, ..Frame::without_notices(site) })
    }

    /// The frame where the log cannot be asked: nothing is known of the services.
    pub(crate) fn without_notices(site: &AppState) -> Frame {
        let (assets, report) = (site.assets.folder(), Board::default().report());
        let caller = caller();
        let signs_out = caller.as_ref().is_some_and(|caller| caller.signs_out);
        let may_change = caller.as_ref().is_none_or(|caller| caller.role == Role::Owner);
        let named = signs_out && site.people.have_names() || site.access.proxy_names.is_some();
        let name = caller.filter(|_| named).map(|caller| caller.name);
        Frame { assets, report, signs_out, may_change, name, at: "" }
    }

    /// Address and name of every page, and whether it is this one.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        PAGES.iter().map(|&(address, name)| (address, name, address == self.at))
    }
}

impl Stalled {
    /// The notice, as a sentence.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}, since {}.", self.service, self.reason, clock(time::minute_of(self.since)))
    }
}

// The pages that say why there is nothing to see, and lead back.

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
}

/// Whatever is not there.
pub(crate) async fn not_found(State(site): State<Arc<AppState>>, uri: Uri) -> Response {
    let text = "There is nothing under this address.";
    if is_of_api(uri.path()) {
        let message = format!(
            "{text} There is /api/v1/symbols, /api/v1/series, /api/v1/status, /api/v1/alerts, /api/v1/rules and /api/v1/watchlist."
        );
        return refused(StatusCode::NOT_FOUND, &message);
    }
    message(&site, StatusCode::NOT_FOUND, "Not found", text).await
}

/// A method that a path does not take.
pub(crate) async fn method_not_allowed(
    State(site): State<Arc<AppState>>,
    method: Method,
    uri: Uri,
) -> Response {
    if is_of_api(uri.path()) {
        let message = format!("{method} is not taken here: /api/v1/openapi.json says what is.");
        return refused(StatusCode::METHOD_NOT_ALLOWED, &message);
    }
    let text = format!("{method} is not taken here: what is shown is read with GET.");
    message(&site, StatusCode::METHOD_NOT_ALLOWED, "Not allowed", &text).await
}

/// Why a page was not shown.
pub(crate) async fn failed(site: &AppState, failure: &Failure) -> Response {
    let Told { status, message: text } = failure.tell();
    let title = if status.is_client_error() { "Not understood" } else { "Something failed" };
    message(site, status, title, &text).await
}

/// A page of a title and a sentence.
pub(crate) async fn message(site: &AppState, status: StatusCode, title: &str, text: &str) -> Response {
    let frame = Frame::around(site, "").await.unwrap_or_else(|error| {
        tracing::warn!(%error, "a message is shown without notices");
        Frame::without_notices(site)
    });
    match (Message { frame, title, text }).render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a message could not be rendered");
            (status, text.to_owned()).into_response()
        }
    }
}

// A time on a page: readable as it is, and put into the reader's zone by a script.

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
