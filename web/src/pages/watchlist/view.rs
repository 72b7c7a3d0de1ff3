//! The watchlist page as it is rendered.

use askama::Template;
use axum::http::StatusCode;
use control::watchlist::{self, Past};
use model::status::QuotaState;

use super::form::{Problems, Typed};
use super::rows::{Known, Row};
use crate::AppState;
use crate::error::Failure;
use crate::pages::frame::Frame;
use crate::pages::moment::Moment;
use crate::previews;

/// Entries on a page: what each became is looked up.
const SHOWN: usize = 200;
/// Changes shown of the history.
const HISTORY: usize = 15;

/// What the page is to show beside the list.
#[derive(Default)]
pub(super) struct State {
    pub(super) typed: Typed,
    pub(super) problems: Problems,
    /// Somebody else has changed the list since the page was read.
    pub(super) conflict: bool,
    /// Whether the headlines of the term that was typed are to be shown.
    pub(super) preview: bool,
    /// The entry to be edited.
    pub(super) edit: Option<usize>,
    /// The version that a change has just led to.
    pub(super) done: Option<u64>,
    /// The place of the first entry shown.
    pub(super) from: usize,
}

/// What the template is given.
#[derive(Template)]
#[template(path = "watchlist.html")]
pub(super) struct View {
    frame: Frame,
    version: u64,
    total: usize,
    rows: Vec<Row>,
    /// The place of the first entry of the page before and after this one.
    before: Option<usize>,
    after: Option<usize>,
    past: Vec<Past>,
    quota: Option<QuotaState>,
    typed: Typed,
    problems: Problems,
    conflict: bool,
    done: Option<String>,
    preview: Option<previews::Shown>,
}

impl View {
    pub(super) async fn render(
        site: &AppState,
        status: StatusCode,
        state: State,
    ) -> Result<(StatusCode, String), Failure> {
        let frame = Frame::around(site, "/watchlist").await?;
        let list = watchlist::read(&*site.log).await?;
        let past = watchlist::history(&*site.log, HISTORY).await?;
        let services = &frame.report.services;
        let preview = match state.preview {
            true => {
                let entry = state.typed.entry();
                let term = entry.search_term.unwrap_or_default();
                Some(site.previews.of(site, services, &term, &entry.sections).await?)
            }
            false => None,
        };
        let known = Known::look_up(site, services).await?;
        let first = state.from.clamp(1, list.entries.len().max(1));
        let mut rows = Vec::new();
        for (place, entry) in (1..).zip(&list.entries).skip(first - 1).take(SHOWN) {
            rows.push(known.row(site, place, entry).await?);
        }
        let edited = state.edit.and_then(|place| Some((place, list.entries.get(place.checked_sub(1)?)?)));
        let page = View {
            version: list.version,
            total: list.entries.len(),
            before: (first > 1).then(|| first.saturating_sub(SHOWN).max(1)),
            after: (first - 1 + SHOWN < list.entries.len()).then_some(first + SHOWN),
            rows,
            quota: services.iter().find_map(|service| service.quota),
            typed: edited.map_or(state.typed, |(place, entry)| Typed::of(place, entry)),
            problems: state.problems,
            conflict: state.conflict,
            done: state.done.and_then(|version| said(&past, version)),
            past,
            preview,
            frame,
        };
        Ok((status, page.render()?))
    }

    fn calls_left(&self) -> u64 {
        self.quota.map_or(0, |quota| quota.per_day.saturating_sub(quota.used_today))
    }

    fn is_editing(&self) -> bool {
        !self.typed.place.is_empty()
    }

    /// Whether this is the entry in the form.
    fn is_edited(&self, row: &Row) -> bool {
        self.typed.place == row.place.to_string()
    }
}

/// What a change was, for who has just made it.
fn said(past: &[Past], version: u64) -> Option<String> {
    past.iter().find(|past| past.version == version).map(|past| past.summary.clone())
}
