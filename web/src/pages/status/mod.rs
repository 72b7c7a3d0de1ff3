//! The status page: how each stage fares, which keys there are, what is asked
//! of the sources and when, what is missing, and the dead letters.

mod letters;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use control::watchlist::EVERY_SYMBOL;
use model::Gap;
use model::service::Service;
use model::status::{EntryState, QuotaState, ServiceStatus};
use model::time::{Millis, SECOND};

use super::{Frame, Moment, shown};
use crate::dead_letters::{self, Outcome, Placed};
use crate::error::Failure;
use crate::status::{Key, Report};
use crate::{AppState, gaps};

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
    let asked = |service: &ServiceStatus| (service.service.clone(), service.quota, service.entries.clone());
    let is_asked = |service: &&ServiceStatus| service.quota.is_some() || !service.entries.is_empty();
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

// A stage of the pipeline as the status page shows it.

/// The order in which data flows through the stages; others come after them.
const ORDER: [Service; 6] = [
    Service::Producer,
    Service::NewsWatcher,
    Service::Engine,
    Service::Alerts,
    Service::Sink,
    Service::Webhook,
];

/// Counts of what went wrong.
const ERRORS: [&str; 5] = ["rejected", "refused", "failed_tries", "given_up", "unknown"];

/// One service, in words.
struct Stage {
    name: String,
    state: String,
    /// `ok`, `wait` or `bad`, for its mark.
    mark: &'static str,
    source: String,
    reached: Option<Millis>,
    lag: String,
    rate: String,
    errors: u64,
    /// The other counts.
    counts: Vec<(String, String)>,
    said: Millis,
    version: String,
}

impl Stage {
    /// Every stage that has said anything.
    fn all(report: &Report) -> Vec<Stage> {
        let mut stages: Vec<_> = report.services.iter().map(|service| Stage::of(service, report)).collect();
        let place = |name: &str| ORDER.iter().position(|known| known.name() == name).unwrap_or(ORDER.len());
        stages.sort_by(|one, other| (place(&one.name), &one.name).cmp(&(place(&other.name), &other.name)));
        stages
    }

    fn of(service: &ServiceStatus, report: &Report) -> Stage {
        let stalled = report.stalled.iter().any(|one| one.service == service.service);
        let mark = match service.state.run() {
            _ if stalled => "bad",
            _ if service.is_at_work() => "ok",
            _ => "wait",
        };
        let is_error = |name: &str| ERRORS.contains(&name);
        let counts = service.counts.iter().filter(|(name, _)| !is_error(name));
        Stage {
            name: service.service.clone(),
            state: service.state.to_string(),
            mark,
            source: service.source.clone().unwrap_or_default(),
            reached: service.watermark,
            lag: service.watermark.and_then(|at| report.behind(at)).map(span).unwrap_or_else(|| "–".into()),
            rate: match report.rates.get(&service.service) {
                Some(rate) => format!("{} {}", grouped(rate.per_minute.round() as u64), rate.of),
                None => "–".into(),
            },
            errors: service
                .counts
                .iter()
                .filter(|(name, _)| is_error(name))
                .fold(0, |sum: u64, (_, count)| sum.saturating_add(*count)),
            counts: counts.map(|(name, count)| (name.replace('_', " "), grouped(*count))).collect(),
            said: service.at,
            version: service.version.clone().unwrap_or_else(|| "–".into()),
        }
    }
}

/// A length of time, as short as it can be said.
fn span(length: Millis) -> String {
    match length / SECOND {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_short_to_read() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 119_999, 120_000, 7_200_000].map(span), ["0 s", "119 s", "2 min", "2 h"]);
    }
}
