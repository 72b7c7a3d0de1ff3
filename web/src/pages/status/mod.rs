//! The status page: how each stage fares, which keys there are, what is asked
//! of the sources and when, what is missing, and the dead letters.

mod letters;
mod stage;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use control::watchlist::EVERY_SYMBOL;
use model::Gap;
use model::status::{EntryState, QuotaState};

use super::frame::Frame;
use super::moment::Moment;
use super::shown;
use crate::AppState;
use crate::dead_letters::replay::Outcome;
use crate::dead_letters::{self, Placed};
use crate::error::Failure;
use crate::gaps;
use crate::process::Key;
use stage::{Stage, grouped};

/// Gaps listed, the newest.
const GAPS: usize = 50;
/// Dead letters listed, the newest.
const LETTERS: usize = 50;

/// The page, a letter's own, and the form that replays letters.
pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/status", get(page))
        .route("/status/replay", post(letters::replay).layer(letters::body_limit()))
        .route("/status/dead-letters/{partition}/{offset}", get(letters::page))
}

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    frame: Frame,
    stages: Vec<Stage>,
    keys: Vec<Key>,
    /// Of each source that is asked: its name, its quota and how its entries fare.
    asked: Vec<(String, Option<QuotaState>, Vec<EntryState>)>,
    gaps: Vec<Gap>,
    more_gaps: usize,
    letters: Vec<Placed>,
    /// How many dead letters are kept.
    kept: u64,
    /// Whether letters can be replayed from here.
    replays: bool,
    /// What came of a replay.
    outcome: Option<Outcome>,
    version: &'static str,
}

/// `GET /status`
async fn page(State(site): State<Arc<AppState>>) -> Response {
    shown(&site, render(&site, None).await).await
}

async fn render(site: &AppState, outcome: Option<Outcome>) -> Result<(StatusCode, String), Failure> {
    let frame = Frame::around(site, "/status").await?;
    let mut gaps = gaps::read(&site.store, None, None, None).await?;
    let more_gaps = gaps.len().saturating_sub(GAPS);
    gaps.drain(..more_gaps);
    gaps.reverse();
    let (letters, kept) = dead_letters::newest(&*site.log, LETTERS).await?;
    let asked = |service: &model::status::ServiceStatus| {
        (service.service.clone(), service.quota, service.entries.clone())
    };
    let is_asked =
        |service: &&model::status::ServiceStatus| service.quota.is_some() || !service.entries.is_empty();
    let page = Page {
        stages: Stage::all(&frame.report),
        keys: site.process.keys.clone(),
        asked: frame.report.services.iter().filter(is_asked).map(asked).collect(),
        gaps,
        more_gaps,
        letters,
        kept,
        replays: site.process.read_again.is_some(),
        outcome,
        version: env!("CARGO_PKG_VERSION"),
        frame,
    };
    Ok((StatusCode::OK, page.render()?))
}

/// What the template asks.
impl Page {
    /// Whose gap it is.
    fn whose<'a>(&self, gap: &'a Gap) -> &'a str {
        if gap.symbol == EVERY_SYMBOL { "all" } else { &gap.symbol }
    }

    fn minutes(&self, gap: &Gap) -> i64 {
        gap.to.saturating_sub(gap.from) / model::time::MINUTE
    }

    /// An entry, in the words of the watchlist.
    fn entry(&self, entry: &EntryState) -> String {
        let symbol = entry.symbol.iter().map(|symbol| symbol.to_owned());
        let term = entry.search_term.iter().map(|term| format!("“{term}”"));
        let mut words: Vec<_> = symbol.chain(term).collect();
        if !entry.sections.is_empty() {
            words.push(format!("in {}", entry.sections.join(", ")));
        }
        words.join(" ")
    }

    /// How many dead letters there are beside those listed.
    fn kept_text(&self) -> String {
        match self.kept {
            0 => String::new(),
            kept if kept > self.letters.len() as u64 => {
                format!("{} are kept, the newest {} listed.", grouped(kept), self.letters.len())
            }
            kept => format!("{} in all.", grouped(kept)),
        }
    }

    fn moment(&self, at: &Option<i64>) -> Option<Moment> {
        at.map(Moment)
    }
}
