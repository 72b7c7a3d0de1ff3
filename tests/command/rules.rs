//! Alert rules are data: shown and changed by commands, beside a running `up` and without one.

use serde_json::{Value as Json, json};

use crate::harness::{Desk, assert_words, sample_bars};

impl Desk {
    fn rules(&self) -> Json {
        serde_json::from_str(&self.out("rules list --json")).unwrap()
    }
}

/// A desk on which something has run.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.replay(&sample_bars());
    desk
}

fn names(rules: &Json) -> Vec<&str> {
    rules["entries"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect()
}

#[test]
fn a_fresh_folder_has_rules_and_they_are_changed_by_name() {
    let desk = desk();
    let first = desk.rules();
    assert_eq!(first["version"], 0);
    assert!(names(&first).contains(&"jump"), "{first}");
    desk.out("rules disable jump");
    desk.out("rules adjust jump --threshold 0.25");
    let added = desk.printed(&[
        "rules add gentle-fall --signal percent_move --below -0.5 --hysteresis 0.25 --symbol AAPL",
    ]);
    let rules = desk.rules();
    let find =
        |name: &str| rules["entries"].as_array().unwrap().iter().find(|rule| rule["name"] == name).unwrap();
    assert_eq!((&find("jump")["enabled"], &find("jump")["threshold"]), (&json!(false), &json!(0.25)));
    assert_eq!(find("gentle-fall")["symbols"], json!(["AAPL"]));
    let lines = ["rules list", "rules enable jump", "rules remove gentle-fall"];
    assert_words!(added + &desk.printed(&lines));
    assert!(!names(&desk.rules()).contains(&"gentle-fall"));
    let history = desk.out("tail alert-rules-history");
    let last: Json = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!(last["value"]["summary"], "removed `gentle-fall`");
}

#[test]
fn what_is_no_rule_is_refused_with_its_field_and_changes_nothing() {
    let desk = desk();
    assert_words!(desk.printed(&[
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
    assert_eq!(desk.rules()["version"], 0);
}

#[test]
fn rules_are_set_from_the_version_that_they_were_made_from() {
    let desk = desk();
    desk.file("saved.json", desk.out("rules list --json"));
    desk.out("rules disable jump");
    assert_words!(desk.printed(&["rules set saved.json"]));
    desk.file("rules.json", "[]");
    desk.out("rules set rules.json");
    assert_eq!(desk.rules(), json!({ "version": 2, "entries": [] }));
}

#[test]
fn a_running_up_owns_the_rules_and_commands_change_them_through_it() {
    let desk = Desk::new();
    let mut running = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    running.address();
    desk.out("rules disable jump");
    assert_words!(desk.printed(&["rules remove junp"]));
    assert_eq!(desk.rules()["version"], 1);
    running.signal("INT");
    assert_eq!(running.ended(), Some(0));
    desk.out("rules enable jump");
    assert_eq!(desk.rules()["version"], 2);
}
