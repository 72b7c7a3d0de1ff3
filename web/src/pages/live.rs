//! The live page: charts of one symbol and the table of all, readable before any
//! script has run.

use std::cmp::Ordering;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use model::{Alert, AssetClass, time};
use serde::Deserialize;

use super::{Frame, Moment, clock, shown};
use crate::episodes::{self, Wanted};
use crate::error::Failure;
use crate::measures::{self, Measure};
use crate::overview::{self, Latest};
use crate::shown::LISTED;
use crate::status::{LagBehind, Report};
use crate::windows::ENOUGH_BARS;
use crate::{AppState, known, request};

/// The most symbols named to whoever asked for one that is not known.
const NAMED: usize = 60;

/// Episodes of alerts beside the table.
const RECENT: usize = 8;

/// The column that the table is sorted by unless another is asked for.
const DEFAULT_SORT: &str = "realized";

#[derive(Template)]
#[template(path = "live.html")]
struct Live {
    frame: Frame,
    plotly: String,
    symbol: String,
    sort: String,
    ascending: bool,
    measures: Vec<Measure>,
    rows: Vec<Row>,
    /// How many symbols there are beside those of the rows.
    more: usize,
    /// Whether nothing is known of the symbol that was asked for.
    unknown: bool,
    /// The newest episodes of alerts.
    alerts: Vec<Alert>,
}

/// One line of the table, as text.
struct Row {
    symbol: String,
    close: String,
    cells: Vec<String>,
    until: String,
}

impl Live {
    /// Symbols that are known, to choose from instead of one that is not.
    fn others(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rows.iter().map(|row| row.symbol.as_str()).collect();
        names.sort_unstable();
        names.truncate(NAMED);
        names
    }

    /// The measurement of the bars of the symbol.
    fn bars_table(&self) -> String {
        AssetClass::of(&self.symbol).raw_table()
    }

    fn formats(&self) -> [(&'static str, &'static str); 3] {
        [("csv", "CSV"), ("json", "JSON"), ("parquet", "Parquet")]
    }

    fn enough_bars(&self) -> i64 {
        ENOUGH_BARS
    }

    /// Column, label and explanation of everything that can be sorted by.
    fn headings(&self) -> Vec<(&str, &str, &str)> {
        let measures = self.measures.iter().map(|m| (m.name.as_str(), m.label.as_str(), m.about.as_str()));
        [("symbol", "Symbol", "The ticker"), ("close", "Last", "The close of the newest bar")]
            .into_iter()
            .chain(measures)
            .collect()
    }
}

/// What `/` may be asked.
#[derive(Deserialize)]
pub(super) struct LiveQuery {
    symbol: Option<String>,
    sort: Option<String>,
    order: Option<String>,
}

/// `GET /`
pub(super) async fn page(
    State(site): State<Arc<AppState>>,
    query: Result<Query<LiveQuery>, QueryRejection>,
) -> Response {
    shown(&site, render(&site, query).await).await
}

async fn render(
    site: &AppState,
    query: Result<Query<LiveQuery>, QueryRejection>,
) -> Result<(StatusCode, String), Failure> {
    let Query(query) = query.map_err(|error| Failure::Query(error.body_text()))?;
    let asked = request::optional_symbol(query.symbol)?;
    let measures = measures::stored(&site.store).await?;
    let mut symbols = overview::read(&site.store, &site.windows).await?;
    let unknown = match &asked {
        Some(asked) => !known::may_be_asked(site, asked).await?,
        None => false,
    };
    let mut frame = Frame::around(site, "/").await?;
    frame.report.simulated |= symbols.iter().any(Latest::is_simulated);

    let sort =
        query.sort.filter(|sort| is_column(sort, &measures)).unwrap_or_else(|| DEFAULT_SORT.to_owned());
    let ascending = query.order.as_deref() == Some("ascending");
    sort_by(&mut symbols, &sort, ascending);
    let first = || symbols.first().map(|latest| latest.symbol.clone());
    let page = Live {
        frame,
        plotly: site.assets.plotly(),
        symbol: asked.or_else(first).unwrap_or_default(),
        sort,
        ascending,
        more: symbols.len().saturating_sub(LISTED),
        rows: symbols.iter().take(LISTED).map(|latest| Row::of(latest, &measures)).collect(),
        measures,
        unknown,
        alerts: episodes::read(&site.store, &Wanted { limit: RECENT.to_string(), ..Wanted::default() })
            .await?
            .alerts,
    };
    // The page goes on listening: the symbol may still appear.
    let status = if unknown { StatusCode::NOT_FOUND } else { StatusCode::OK };
    Ok((status, page.render()?))
}

fn is_column(name: &str, measures: &[Measure]) -> bool {
    matches!(name, "symbol" | "close") || measures.iter().any(|measure| measure.name == name)
}

/// Sorts by a column; what has no value comes last either way.
fn sort_by(symbols: &mut [Latest], column: &str, ascending: bool) {
    let turn = |ordering: Ordering| if ascending { ordering } else { ordering.reverse() };
    let value = |latest: &Latest| match column {
        "close" => latest.price("close"),
        measure => latest.measure(measure),
    };
    symbols.sort_by(|one, other| match (value(one), value(other)) {
        _ if column == "symbol" => turn(one.symbol.cmp(&other.symbol)),
        (Some(a), Some(b)) => turn(a.total_cmp(&b)).then_with(|| one.symbol.cmp(&other.symbol)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.symbol.cmp(&other.symbol),
    });
}

impl Row {
    fn of(latest: &Latest, measures: &[Measure]) -> Row {
        let until = latest.volatility.as_ref().and_then(|row| row.get("window_end")?.as_i64());
        Row {
            symbol: latest.symbol.clone(),
            close: latest.price("close").map(|close| format!("{close:.2}")).unwrap_or_default(),
            cells: measures
                .iter()
                .map(|measure| {
                    latest.measure(&measure.name).map(|value| measure.text(value)).unwrap_or_default()
                })
                .collect(),
            until: until.map(clock).unwrap_or_default(),
        }
    }
}

/// What the template asks of a report.
impl Report {
    fn watermark_text(&self) -> String {
        self.watermark.map(clock).unwrap_or_else(|| "–".into())
    }

    fn lag_text(&self) -> String {
        let behind = if self.lag_behind == LagBehind::Clock { " behind the clock" } else { "" };
        self.lag.map(|lag| format!("{} s{behind}", lag / time::SECOND)).unwrap_or_else(|| "–".into())
    }

    fn source_text(&self) -> &str {
        self.source.as_deref().unwrap_or("no source yet")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn latest(symbol: &str, realized: Option<f64>) -> Latest {
        let volatility = json!({ "realized": realized }).as_object().cloned();
        Latest { symbol: symbol.into(), bar: None, volatility }
    }

    fn order(column: &str, ascending: bool) -> Vec<String> {
        let mut symbols = [latest("B", Some(1.0)), latest("C", None), latest("A", Some(2.0))];
        sort_by(&mut symbols, column, ascending);
        symbols.into_iter().map(|latest| latest.symbol).collect()
    }

    #[test]
    fn what_has_no_value_is_last_in_either_order() {
        assert_eq!(order("realized", false), ["A", "B", "C"]);
        assert_eq!(order("realized", true), ["B", "A", "C"]);
        assert_eq!(order("symbol", true), ["A", "B", "C"]);
    }
}
