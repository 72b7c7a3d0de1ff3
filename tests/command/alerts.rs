//! From a signal to an alert that is exported: rules as data, episodes as points.

use log::Append;
use model::Topic;
use model::time::{MINUTE, Millis};
use serde_json::{Value as Json, json};

use crate::harness::{Sandbox, assert_words, sample_bars};

/// What the documentation says.
const DOCS: &str = include_str!("../../docs/alerts.md");
/// Some months after the last bar of the sample; records more than a year ahead of
/// what a replay has stated are passed over.
const LATER: Millis = 1_720_000_000_000 / MINUTE * MINUTE;

/// Windows of two hours of one symbol with a signal, one a minute.
fn windows(symbol: &str, signal: &str, values: &[f64]) -> Vec<Append> {
    let row = |(minute, value): (i64, &f64)| {
        let end = LATER + minute * MINUTE;
        let row =
            json!({ "symbol": symbol, "window_start": end - 120 * MINUTE, "window_end": end, signal: value });
        Append::json(Topic::new("signals"), symbol, &row)
    };
    (0..).zip(values).map(row).collect()
}

/// What follows `begin` in the documentation, up to `end`.
fn documented(begin: &str, end: &str) -> &'static str {
    let from = DOCS.find(begin).unwrap_or_else(|| panic!("docs/alerts.md has no {begin}"));
    DOCS[from..].split_once(end).unwrap().0
}

/// The episodes of a rule after the service has read these windows.
fn episodes(sandbox: &Sandbox, rule: &str) -> Vec<Json> {
    sandbox.append(windows("AAPL", "percent_move", &[0.0, -0.3, -0.4, -0.15, -0.1, 0.0, -0.9]));
    sandbox.append(windows("~clock0", "percent_move", &[-0.9]));
    sandbox.replay(&sample_bars());
    let exported = sandbox.out("export alerts --symbol AAPL --format json");
    let rows = exported.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let late = |row: &Json| row["rule"] == rule && row["opened"].as_i64().unwrap() >= LATER;
    assert!(!sandbox.out("export alerts").contains('~'));
    rows.filter(late).collect()
}

fn spans(episodes: &[Json]) -> Vec<(i64, Option<i64>)> {
    let minute = |at: &Json| at.as_i64().map(|at| (at - LATER) / MINUTE);
    episodes.iter().map(|row| (minute(&row["opened"]).unwrap(), minute(&row["closed"]))).collect()
}

#[test]
fn a_rule_added_as_documented_opens_and_closes_episodes_that_are_exported() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let line = documented("tickwire rules add", "\n");
    sandbox.out(line.strip_prefix("tickwire ").unwrap());
    let found = episodes(&sandbox, "slide");
    assert_eq!(spans(&found), [(1, Some(4)), (6, None)]);
    let why = found[0]["explanation"].as_str().unwrap();
    assert!(
        why.starts_with("AAPL: percent_move was below -0.2 from ") && why.contains("-0.4 at least"),
        "{why}"
    );
    let told = sandbox.out("tail alerts --key AAPL");
    let words =
        told.lines().filter(|line| line.contains("\"slide\"") && line.contains("\"opened\":1720000")).count();
    assert_eq!(words, 3, "twice opened, once closed: {told}");
}

#[test]
fn the_documented_row_is_a_whole_rule() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let row: Json = serde_json::from_str(documented("{\"name\": \"slide\"", "\n")).unwrap();
    let mut rules: Json = serde_json::from_str(&sandbox.out("rules list --json")).unwrap();
    rules["entries"].as_array_mut().unwrap().push(row);
    sandbox.file("rules.json", rules.to_string());
    sandbox.out("rules set rules.json");
    assert_eq!(spans(&episodes(&sandbox, "slide")), [(1, Some(4)), (6, None)]);
}

// Alert rules are data: shown and changed by commands, beside a running `up` and without one.

impl Sandbox {
    fn rules(&self) -> Json {
        serde_json::from_str(&self.out("rules list --json")).unwrap()
    }
}

/// A desk on which something has run.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    sandbox
}

fn names(rules: &Json) -> Vec<&str> {
    rules["entries"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect()
}

#[test]
fn a_fresh_folder_has_rules_and_they_are_changed_by_name() {
    let sandbox = sandbox();
    let first = sandbox.rules();
    assert_eq!(first["version"], 0);
    assert!(names(&first).contains(&"jump"), "{first}");
    sandbox.out("rules disable jump");
    sandbox.out("rules adjust jump --threshold 0.25");
    let added = sandbox.printed(&[
        "rules add gentle-fall --signal percent_move --below -0.5 --hysteresis 0.25 --symbol AAPL",
    ]);
    let rules = sandbox.rules();
    let find =
        |name: &str| rules["entries"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap();
    assert_eq!((&find("jump")["enabled"], &find("jump")["threshold"]), (&json!(false), &json!(0.25)));
    assert_eq!(find("gentle-fall")["symbols"], json!(["AAPL"]));
    let lines = ["rules list", "rules enable jump", "rules remove gentle-fall"];
    assert_words!(added + &sandbox.printed(&lines));
    assert!(!names(&sandbox.rules()).contains(&"gentle-fall"));
    let history = sandbox.out("tail alert-rules-history");
    let last: Json = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!(last["value"]["summary"], "removed `gentle-fall`");
}

#[test]
fn what_is_no_rule_is_refused_with_its_field_and_changes_nothing() {
    let sandbox = sandbox();
    assert_words!(sandbox.printed(&[
        "rules add x --signal jump_share",
        "rules add Big --signal jump_share --above 1",
        "rules add x --signal jump-share --above 1",
        "rules add x --signal jump_share --above NaN",
        "rules add x --signal jump_share --above 1 --hysteresis -1",
        "rules add x --signal jump_share --above 1 --symbol ~clock0",
        "rules add jump --signal jump_share --above 1",
        "rules remove junp",
        "rules adjust jump",
        "rules set missing.json",
    ]));
    assert_eq!(sandbox.rules()["version"], 0);
}

#[test]
fn rules_are_set_from_the_version_that_they_were_made_from() {
    let sandbox = sandbox();
    sandbox.file("saved.json", sandbox.out("rules list --json"));
    sandbox.out("rules disable jump");
    assert_words!(sandbox.printed(&["rules set saved.json"]));
    sandbox.file("rules.json", "[]");
    sandbox.out("rules set rules.json");
    assert_eq!(sandbox.rules(), json!({ "version": 2, "entries": [] }));
}

#[test]
fn a_running_up_owns_the_rules_and_commands_change_them_through_it() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    running.address();
    sandbox.out("rules disable jump");
    assert_words!(sandbox.printed(&["rules remove junp"]));
    assert_eq!(sandbox.rules()["version"], 1);
    running.signal("INT");
    assert_eq!(running.ended(), Some(0));
    sandbox.out("rules enable jump");
    assert_eq!(sandbox.rules()["version"], 2);
}
