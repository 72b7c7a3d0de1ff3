//! Every query, put to a real InfluxDB that a small run has filled.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use model::time;
use store::Measurement;
use testkit::influxd::Influxd;

use crate::pictures::{Query, dashboards, queries};

/// The run's symbol that every dashboard is looked at for.
const SYMBOL: &str = "TSLA";
/// A gap, which a replay has none of.
const GAP: &str = "gaps,symbol=TSLA reason=\"no history\",to=1709570000000i 1709569000000000000";

/// A server with a bucket that a replay of the sample was written to.
struct Filled {
    server: Influxd,
    bucket: String,
}

impl Filled {
    /// `None` where there is no server, which is said.
    async fn by_a_replay() -> Option<Filled> {
        let server = Influxd::start().await?;
        let replay = format!(
            "up --listen 127.0.0.1:0 --prices replay:{0}/sample/bars.csv --news replay:{0}/sample/articles.csv --speed max --exit-when-done",
            env!("CARGO_MANIFEST_DIR")
        );
        // A run is named after what its files hold; one without a server says how.
        let first = tempfile::tempdir().unwrap();
        tickwire(first.path(), &replay, &[]);
        let run = std::fs::read_to_string(first.path().join("last-run")).unwrap();
        let bucket = format!("events_{}", run.trim().replace('/', "_"));
        server.make_bucket(&bucket, None).await;
        let variables = [
            ("TICKWIRE_STORE", "influxdb"),
            ("TICKWIRE_INFLUXDB__URL", &server.url),
            ("INFLUXDB_TOKEN", &server.token),
        ];
        tickwire(tempfile::tempdir().unwrap().path(), &replay, &variables);
        server.write(&bucket, GAP).await;
        // A run of seconds tells of a service once, and a rate needs two.
        let later = (time::now() + time::MINUTE) * 1_000_000;
        let again = format!("pipeline,service=producer,figure=bars value=2000 {later}");
        server.write(&bucket, &again).await;
        Some(Filled { server, bucket })
    }

    /// The rows that a query answers, as CSV without its heads.
    async fn rows(&self, query: &Query) -> Vec<String> {
        // What services say has the time of the run; all else that of the sample.
        let (from, to) = match query.flux.contains("\"pipeline\"") {
            true => (time::now() - time::HOUR, time::now() + time::HOUR),
            false => (time::parse("2024-03-04").unwrap(), time::parse("2024-03-06").unwrap()),
        };
        let flux = query
            .flux
            .replace("v.defaultBucket", &format!("\"{}\"", self.bucket))
            .replace("v.timeRangeStart", &time::rfc3339(from))
            .replace("v.timeRangeStop", &time::rfc3339(to))
            .replace("v.windowPeriod", "60000000000")
            .replace("${symbol}", SYMBOL);
        assert!(!flux.contains("${"), "{}: {flux}", query.place);
        let answer = self.server.query(&flux).await;
        let is_head = |line: &&str| line.starts_with(",result,") || line.trim().is_empty();
        answer.lines().filter(|line| !is_head(line)).map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_answers_with_rows_and_none_with_a_clock_record() {
    let Some(filled) = Filled::by_a_replay().await else { return };
    let (mut silent, mut clocks) = (Vec::new(), Vec::new());
    // What alarms look for is not there while all is well: tests/alarms puts it there.
    for query in queries().iter().filter(|query| !query.place.starts_with("alert rule")) {
        let rows = filled.rows(query).await;
        if rows.is_empty() {
            silent.push(query.place.clone());
        }
        clocks.extend(rows.into_iter().filter(|row| row.contains('~')).map(|row| (query.place.clone(), row)));
    }
    assert!(silent.is_empty(), "no rows: {silent:#?}");
    assert!(clocks.is_empty(), "{clocks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_says_that_its_data_is_simulated() {
    let Some(server) = Influxd::shared().await else { return };
    let named = queries().into_iter().filter(|query| query.place.ends_with("/ data")).collect::<Vec<_>>();
    assert_eq!(named.len(), 5);
    for query in named {
        for (bucket, said) in
            [("events", "live"), ("events_simulated", "simulated"), ("events_replayed_0", "replayed")]
        {
            let flux = query.flux.replace("v.defaultBucket", &format!("\"{bucket}\""));
            let answer = server.query(&flux).await;
            assert!(answer.lines().any(|line| line.ends_with(&format!(",{said}"))), "{answer}");
        }
    }
}

/// Runs `tickwire LINE` over a data folder to its end.
fn tickwire(data: &Path, line: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
    command.args(line.split_whitespace()).env("TICKWIRE_DATA_DIR", data).envs(variables.iter().copied());
    let output = testkit::command::output(&mut command, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

// Just enough reading of Flux to see what a query names.

/// The names in a query.
#[derive(Debug, Default)]
pub struct Named {
    /// Compared with `r._measurement`.
    pub measurements: BTreeSet<String>,
    /// Compared with `r._field`.
    pub fields: BTreeSet<String>,
    /// Columns of rows that are read, sorted by or kept, but for those of Flux itself.
    pub columns: BTreeSet<String>,
    /// Columns that the query makes itself, and fields that a pivot makes columns.
    pub bound: BTreeSet<String>,
}

/// What `query` names.
pub fn names(query: &str) -> Named {
    let after =
        |mark: &str| query.match_indices(mark).map(|(at, _)| &query[at + mark.len()..]).collect::<Vec<_>>();
    let mut named = Named {
        measurements: after("r._measurement == ").into_iter().filter_map(quoted).collect(),
        fields: after("r._field == ").into_iter().filter_map(quoted).collect(),
        bound: words_before_colons(query),
        ..Named::default()
    };
    named.bound.extend(named.fields.iter().cloned());
    let rows = ["r.", "l."].into_iter().flat_map(|row| members(query, row));
    named.columns.extend(rows);
    for list in ["columns: [", "rowKey: [", "columnKey: ["] {
        for rest in after(list) {
            let inside = rest.split(']').next().unwrap_or_default();
            named.columns.extend(inside.split(',').filter_map(|name| quoted(name.trim())));
        }
    }
    named.columns.extend(after("column: ").into_iter().filter_map(quoted));
    named.columns.retain(|name| !name.starts_with('_'));
    named
}

fn quoted(text: &str) -> Option<String> {
    Some(text.strip_prefix('"')?.split('"').next()?.to_owned())
}

/// `symbol` for each `r.symbol`.
fn members(query: &str, row: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let own = |at: usize| !query[..at].ends_with(|c: char| is_word(c) || c == '.');
    let found = query.match_indices(row).filter(|(at, _)| own(*at));
    found.map(|(at, _)| query[at + row.len()..].chars().take_while(|c| is_word(*c)).collect()).collect()
}

/// `move` for each `move: …`: keys of records, which become columns.
fn words_before_colons(query: &str) -> BTreeSet<String> {
    let word = |before: &str| -> String {
        let reversed: String =
            before.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        reversed.chars().rev().collect()
    };
    query.match_indices(':').map(|(at, _)| word(&query[..at])).filter(|word| !word.is_empty()).collect()
}

// What the files name is what is written: read from the shapes of the sink.

/// Every measurement that the sink writes.
pub fn written() -> Vec<Measurement> {
    sink::measurements(&engine::Job::all().unwrap())
}

/// What is wrong with a query, by the shapes of `written`.
fn wrong_with(query: &str, written: &[Measurement]) -> Vec<String> {
    let Named { measurements, fields, columns, bound } = names(query);
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
