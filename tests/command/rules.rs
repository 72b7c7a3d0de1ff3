//! Alert rules are data: shown and changed by commands, beside a running `up` and without one.

use serde_json::{Value as Json, json};

use crate::harness::{Sandbox, assert_words, sample_bars};

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
