//! The alerts page: episodes, open and past, and the rules behind them.

mod change;
mod typed;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use control::rules::{self, Rule, Rules};
use model::Alert;
use model::alert::Comparison;
use model::time::MINUTE;

use super::frame::Frame;
use super::moment::{Moment, clock};
use super::shown;
use crate::AppState;
use crate::episodes::{self, Episodes, Wanted};
use crate::error::Failure;
use typed::{Refused, TypedRule};

/// The newest episodes are listed; the file has all.
const SHOWN: usize = 60;

/// The page, and the form on it.
pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/alerts", get(page))
        .route("/alerts/rules", post(change::change).layer(change::body_limit()))
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct Page {
    frame: Frame,
    wanted: Wanted,
    open: Vec<Alert>,
    past: Vec<Alert>,
    /// Whether there are more episodes than are shown.
    more: bool,
    rules: Rules,
    /// What rules can watch.
    signals: Vec<String>,
    /// A change that was not made, with what was typed.
    refused: Option<Refused>,
}

/// `GET /alerts?symbol=S&rule=R&from=T&to=T`
async fn page(State(site): State<Arc<AppState>>, query: Result<Query<Wanted>, QueryRejection>) -> Response {
    let rendered = match query {
        Ok(Query(wanted)) => render(&site, wanted, None).await,
        Err(error) => Err(Failure::Query(error.body_text())),
    };
    shown(&site, rendered).await
}

/// The page, above all with what was refused.
async fn render(
    site: &AppState,
    wanted: Wanted,
    refused: Option<Refused>,
) -> Result<(StatusCode, String), Failure> {
    let wanted = Wanted { limit: SHOWN.to_string(), ..wanted };
    let Episodes { alerts, more } = episodes::read(&site.store, &wanted).await?;
    let (open, past) = alerts.into_iter().partition(|alert| alert.closed.is_none());
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    let page = Page {
        frame: Frame::around(site, "/alerts").await?,
        wanted,
        open,
        past,
        more,
        rules: rules::read(&*site.log).await?,
        signals: crate::rules::signals(&site.store).await?,
        refused,
    };
    Ok((status, page.render()?))
}

/// What the template asks.
impl Page {
    /// What stands in the fields of a rule's line: as it is, or as it was typed and refused.
    fn fields(&self, rule: &Rule) -> TypedRule {
        let refused = self.refused.as_ref().filter(|refused| refused.is_about(&rule.name));
        refused.map_or_else(|| TypedRule::of(rule), |refused| refused.typed.clone())
    }

    /// What stands in the fields of a rule to be added.
    fn new_rule(&self) -> TypedRule {
        let refused = self.refused.as_ref().filter(|refused| refused.typed.adds());
        refused.map_or_else(TypedRule::default, |refused| refused.typed.clone())
    }

    /// What is wrong with a field of a rule's line, or of the rule to be added, whose name is empty.
    fn problem(&self, rule: &str, field: &str) -> &str {
        let about = |refused: &&Refused| match rule {
            "" => refused.typed.adds(),
            rule => refused.is_about(rule),
        };
        let refused = self.refused.as_ref().filter(about);
        refused.filter(|refused| refused.field == Some(field)).map_or("", |refused| &refused.message)
    }

    /// What is wrong, where it is no field's fault.
    fn notice(&self) -> &str {
        self.refused.as_ref().filter(|refused| refused.field.is_none()).map_or("", |refused| &refused.message)
    }

    fn comparisons(&self) -> [Comparison; 3] {
        Comparison::ALL
    }

    fn is_filtered(&self) -> bool {
        let Wanted { symbol, rule, from, to, .. } = &self.wanted;
        [symbol, rule, from, to].iter().any(|field| !field.is_empty())
    }

    fn at(&self, at: &i64) -> String {
        clock(*at)
    }

    /// How long an episode lasted, in minutes.
    fn lasted(&self, alert: &Alert) -> i64 {
        alert.closed.map_or(0, |closed| closed.saturating_sub(alert.opened) / MINUTE)
    }

    fn number(&self, value: &f64) -> String {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}
