//! The alerts page: episodes, open and past, and the rules behind them.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use control::rules::{self, BadChange, BadRules, Change, Conflict, PutError, Rule, Rules};
use model::Alert;
use model::alert::Comparison;
use model::time::MINUTE;
use serde::Deserialize;

use super::{Frame, Moment, clock, failed, message, shown};
use crate::episodes::{self, Episodes, Wanted};
use crate::error::Failure;
use crate::{AppState, access};

/// The newest episodes are listed; the file has all.
const SHOWN: usize = 60;

/// The page, and the form on it.
pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/alerts", get(page)).route("/alerts/rules", post(change).layer(body_limit()))
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

// The rules changed by the form: the change names the version that the page
// showed, and what cannot be done is said on the page, with the input kept.

/// The longest form taken, in bytes.
fn body_limit() -> DefaultBodyLimit {
    const LONGEST: usize = 16 * 1024;
    DefaultBodyLimit::max(LONGEST)
}

/// `POST /alerts/rules`
async fn change(State(site): State<Arc<AppState>>, form: Result<Form<TypedRule>, FormRejection>) -> Response {
    let typed = match form {
        Ok(Form(typed)) => typed,
        Err(error) => {
            let text = "The form cannot be read. Load the page again and send it once more.";
            return message(&site, error.status(), "Not understood", text).await;
        }
    };
    let by = access::by();
    match make(&site, &typed, &by).await {
        Ok(None) => Redirect::to("/alerts#rules").into_response(),
        Ok(Some(refused)) => shown(&site, render(&site, Wanted::default(), Some(refused)).await).await,
        Err(failure) => failed(&site, &failure).await,
    }
}

/// Makes the change, or says why not.
async fn make(site: &AppState, typed: &TypedRule, by: &str) -> Result<Option<Refused>, Failure> {
    let change = match typed.change() {
        Ok(change) => change,
        Err(refused) => return Ok(Some(refused)),
    };
    let current = rules::read(&*site.log).await?;
    if typed.version != current.version.to_string() {
        return Ok(Some(overtaken(typed)));
    }
    let after = match current.apply(change) {
        Ok(after) => after,
        Err(bad) => return Ok(Some(typed.refused_change(&bad))),
    };
    if typed.adds()
        && let Err(bad) = rules::check_signals(
            &after.entries[current.entries.len()..],
            &crate::rules::signals(&site.store).await?,
        )
    {
        return Ok(Some(typed.refused_by(&bad)));
    }
    match rules::put(&*site.log, current.version, after.entries, by).await {
        Ok(_) => Ok(None),
        Err(PutError::Conflict(Conflict { .. })) => Ok(Some(overtaken(typed))),
        Err(PutError::Bad(bad)) => Ok(Some(typed.refused_by(&bad))),
        Err(PutError::Log(error)) => Err(error.into()),
    }
}

fn overtaken(typed: &TypedRule) -> Refused {
    let message = "Somebody else has changed the rules since this page was loaded, and nothing was overwritten. Below are the rules as they are now, with what you typed; send it again if it still holds.";
    Refused { status: StatusCode::CONFLICT, ..typed.refused(None, message) }
}

// What was typed into the form of a rule, and why it was not taken.

/// The form, as text: whatever is in it is shown again where it is refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TypedRule {
    /// The version of the rules that the page showed.
    version: String,
    /// `add`, `adjust`, `enable`, `disable` or `remove`.
    action: String,
    name: String,
    signal: String,
    comparison: String,
    threshold: String,
    hysteresis: String,
    symbols: String,
    meaning: String,
}

/// A change that was not made.
#[derive(Clone, Debug)]
struct Refused {
    status: StatusCode,
    typed: TypedRule,
    /// The field that is to be changed, if one is.
    field: Option<&'static str>,
    message: String,
}

impl TypedRule {
    /// A rule as the form shows it.
    fn of(rule: &Rule) -> TypedRule {
        TypedRule {
            name: rule.name.clone(),
            signal: rule.signal.clone(),
            comparison: rule.comparison.to_string(),
            threshold: rule.threshold.to_string(),
            hysteresis: rule.hysteresis.to_string(),
            symbols: rule.symbols.join(", "),
            meaning: rule.meaning.clone(),
            ..TypedRule::default()
        }
    }

    /// Whether a rule is to be added.
    fn adds(&self) -> bool {
        self.action == "add"
    }

    /// The change that is asked for.
    fn change(&self) -> Result<Change, Refused> {
        let name = || self.name.trim().to_owned();
        match self.action.as_str() {
            "add" => Ok(Change::Add(self.rule()?)),
            "adjust" => Ok(Change::Adjust {
                name: name(),
                threshold: Some(self.number("threshold", &self.threshold)?),
                hysteresis: Some(self.number("hysteresis", &self.hysteresis)?),
            }),
            "enable" => Ok(Change::Enable(name(), true)),
            "disable" => Ok(Change::Enable(name(), false)),
            "remove" => Ok(Change::Remove(name())),
            _ => Err(self.refused(None, "The form asks for nothing that can be done; load the page again.")),
        }
    }

    fn rule(&self) -> Result<Rule, Refused> {
        let comparison = Comparison::ALL.into_iter().find(|known| known.as_str() == self.comparison);
        let comparison = comparison.ok_or_else(|| {
            self.refused(Some("comparison"), "`comparison` takes `above`, `below` or `crosses`")
        })?;
        let symbols = self.symbols.split([',', ' ']).filter(|symbol| !symbol.is_empty());
        Ok(Rule {
            name: self.name.clone(),
            signal: self.signal.clone(),
            comparison,
            threshold: self.number("threshold", &self.threshold)?,
            hysteresis: match self.hysteresis.trim() {
                "" => 0.0,
                typed => self.number("hysteresis", typed)?,
            },
            enabled: true,
            symbols: symbols.map(str::to_owned).collect(),
            meaning: self.meaning.clone(),
        })
    }

    fn number(&self, field: &'static str, typed: &str) -> Result<f64, Refused> {
        let number = typed.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| {
            let short: String = typed.chars().take(40).collect();
            self.refused(Some(field), &format!("`{field}` is `{short}`: it takes a number, as 0.5 or -3"))
        })
    }

    /// Not taken as it was typed.
    fn refused(&self, field: Option<&'static str>, message: &str) -> Refused {
        let (typed, message) = (self.clone(), message.to_owned());
        Refused { status: StatusCode::UNPROCESSABLE_ENTITY, typed, field, message }
    }

    /// Not taken because the rules would be bad ones.
    fn refused_by(&self, bad: &BadRules) -> Refused {
        match bad {
            BadRules::Rules(places) if !places.is_empty() => {
                self.refused(places[0].problem.field(), &places[0].problem.to_string())
            }
            bad => self.refused(None, &bad.to_string()),
        }
    }

    /// Not taken because the change cannot be made.
    fn refused_change(&self, bad: &BadChange) -> Refused {
        match bad {
            BadChange::Rules(bad) => self.refused_by(bad),
            BadChange::NoSuchRule(bad) => self.refused(None, &bad.to_string()),
        }
    }
}

impl Refused {
    /// Whether it is about a line of the table.
    fn is_about(&self, rule: &str) -> bool {
        self.typed.action == "adjust" && self.typed.name == rule
    }
}
