//! What the files name is what is written: read from the shapes of the sink.

use std::collections::BTreeSet;

use store::Measurement;

use crate::flux::{self, Named};
use crate::pictures::{dashboards, queries};

/// Every measurement that the sink writes.
pub fn written() -> Vec<Measurement> {
    sink::measurements(&engine::Job::all().unwrap())
}

/// What is wrong with a query, by the shapes of `written`.
fn wrong_with(query: &str, written: &[Measurement]) -> Vec<String> {
    let Named { measurements, fields, columns, bound } = flux::names(query);
    let mut wrong = Vec::new();
    let asked: Vec<_> =
        written.iter().filter(|measurement| measurements.contains(&measurement.name)).collect();
    let known: BTreeSet<_> = asked.iter().map(|measurement| measurement.name.clone()).collect();
    wrong.extend(measurements.difference(&known).map(|name| format!("nobody writes `{name}`")));
    for field in fields {
        let is_field = |measurement: &&Measurement| {
            measurement.index_of(&field).is_some()
                && !measurement.tags.contains(&field)
                && measurement.time != field
        };
        if !asked.iter().any(is_field) {
            wrong.push(format!("`{field}` is no field of {known:?}"));
        }
    }
    for column in columns {
        let is_column = |measurement: &&Measurement| measurement.index_of(&column).is_some();
        if !bound.contains(&column) && !asked.iter().any(is_column) {
            wrong.push(format!("`{column}` is no column of {known:?}, and the query makes none"));
        }
    }
    wrong
}

#[test]
fn every_query_names_only_what_is_written() {
    let (written, queries) = (written(), queries());
    assert!(queries.len() >= 25, "{} queries", queries.len());
    let wrong: Vec<_> = queries
        .iter()
        .flat_map(|query| wrong_with(&query.flux, &written).into_iter().map(|wrong| (&query.place, wrong)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_name_that_nobody_writes_is_found() {
    let query = |measurement: &str, field: &str, tag: &str| {
        format!(
            "from(bucket: v.defaultBucket) |> filter(fn: (r) => r._measurement == \"{measurement}\") \
             |> filter(fn: (r) => r._field == \"{field}\") |> filter(fn: (r) => r.{tag} == \"A\")"
        )
    };
    let written = written();
    assert_eq!(wrong_with(&query("volatility", "realized", "symbol"), &written), [""; 0]);
    for (query, said) in [
        (query("volatilities", "realized", "symbol"), "nobody writes `volatilities`"),
        (query("volatility", "realised", "symbol"), "`realised` is no field"),
        (query("volatility", "symbol", "symbol"), "`symbol` is no field"),
        (query("alerts", "opened", "symbol"), "`opened` is no field"),
        (query("volatility", "realized", "ticker"), "`ticker` is no column"),
    ] {
        let wrong = wrong_with(&query, &written);
        assert!(wrong.iter().any(|wrong| wrong.contains(said)), "{wrong:?}");
    }
}

#[test]
fn every_query_is_limited_to_the_range_that_is_looked_at() {
    for query in queries().iter().filter(|query| query.flux.contains("from(bucket")) {
        let (asked, limited) = (
            query.flux.matches("from(bucket: v.defaultBucket)").count(),
            query.flux.matches("range(start: v.timeRangeStart, stop: v.timeRangeStop)").count(),
        );
        assert!(asked > 0 && asked == limited, "{}: {}", query.place, query.flux);
    }
}

#[test]
fn every_panel_says_what_it_shows_and_every_dashboard_what_data_it_is() {
    let dashboards = dashboards();
    let names: Vec<_> = dashboards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alerts", "market", "news-impact", "pipeline", "volatility"]);
    let mut uids = BTreeSet::new();
    for (name, dashboard) in &dashboards {
        assert_eq!(dashboard["uid"], format!("tickwire-{name}"));
        assert!(uids.insert(dashboard["uid"].to_string()));
        assert_eq!(dashboard["editable"], false, "{name}");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert!(variables.iter().any(|variable| variable["name"] == "data"), "{name}");
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(!title.is_empty() && panel["description"].as_str().is_some_and(|text| !text.is_empty()));
            let listed = panel["type"] == "alertlist";
            assert!(listed || panel["fieldConfig"]["defaults"]["unit"].is_string(), "{name} / {title}");
        }
        let first = dashboard["panels"][0]["title"].as_str().unwrap();
        assert!(first.contains("${data}"), "{name} / {first} does not say whether data is simulated");
    }
}
