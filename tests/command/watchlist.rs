//! What is watched is data: shown and changed by commands, beside a running `up` and without one.

use serde_json::{Value as Json, json};

use crate::harness::{Sandbox, assert_words};

/// With a key, commands mean the live run, before it was ever started too.
fn live_desk() -> Sandbox {
    Sandbox::new().with("POLYGON_API_KEY", "key-4711")
}

impl Sandbox {
    fn watched(&self) -> Json {
        serde_json::from_str(&self.out("watch list --json")).unwrap()
    }
}

#[test]
fn symbols_and_terms_are_added_listed_and_removed_before_anything_ran() {
    let sandbox = live_desk();
    let mut printed = sandbox.printed(&["watch list", "watch add AAPL MSFT"]);
    sandbox.out("watch add --symbol IBM --term ibm --section business --section us-news");
    sandbox.out("watch add --term inflation");
    let list = json!([
        { "symbol": "AAPL" },
        { "symbol": "MSFT" },
        { "symbol": "IBM", "search_term": "ibm", "sections": ["business", "us-news"] },
        { "search_term": "inflation" },
    ]);
    assert_eq!(sandbox.watched(), json!({ "version": 3, "entries": list }));
    printed += &sandbox.printed(&["watch list", "watch remove AAPL", "watch remove --term inflation"]);
    assert_eq!(sandbox.watched()["entries"].as_array().unwrap().len(), 2);
    assert_words!(printed + &sandbox.printed(&["watch add *"]));
}

#[test]
fn what_cannot_be_watched_is_refused_with_the_place_and_changes_nothing() {
    let sandbox = live_desk();
    sandbox.out("watch add AAPL");
    assert_words!(sandbox.printed(&[
        "watch add",
        "watch add AAPL",
        "watch add A_B",
        "watch add ~clock0",
        "watch add --term (apple",
        "watch add --term \"apple",
        "watch add --term AND",
        "watch add MSFT IBM --term apple",
        "watch add MSFT --section business",
        "watch add MSFT --term x --section Business",
        "watch remove MSFT",
        "watch set missing.json",
    ]));
    assert_eq!(sandbox.watched(), json!({ "version": 1, "entries": [{ "symbol": "AAPL" }] }));
}

#[test]
fn a_list_is_set_from_the_version_that_it_was_made_from() {
    let sandbox = live_desk();
    sandbox.file("list.json", r#"[{"symbol": "AAPL", "search_term": "apple"}, {"symbol": "IBM"}]"#);
    sandbox.out("watch set list.json");
    sandbox.file("saved.json", sandbox.out("watch list --json"));
    sandbox.out("watch add MSFT");
    let conflict = sandbox.printed(&["watch set saved.json"]);
    sandbox.file("bad.json", r#"[{"symbol": "AAPL"}, {"symbol": "A B"}, {"ticker": "IBM"}]"#);
    assert_words!(conflict + &sandbox.printed(&["watch set bad.json"]));
    sandbox.out("watch set list.json");
    assert_eq!(sandbox.watched()["version"], 3);
}

#[test]
fn ten_thousand_entries_are_taken_and_one_more_is_not() {
    let sandbox = live_desk();
    let list = |count: usize| (0..count).map(|i| json!({ "symbol": format!("S{i}") })).collect::<Json>();
    sandbox.file("list.json", list(10_000).to_string());
    let taken = sandbox.printed(&["watch set list.json"]);
    sandbox.file("list.json", list(10_001).to_string());
    assert_words!(taken + &sandbox.printed(&["watch set list.json", "watch add MORE"]));
    assert_eq!(sandbox.watched()["entries"].as_array().unwrap().len(), 10_000);
}

#[test]
fn a_running_up_owns_the_list_and_commands_change_it_through_it() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    let address = running.address();
    let owner = std::fs::read_to_string(sandbox.path("data/simulated/owner")).unwrap();
    assert_eq!(owner.trim(), format!("http://{address}"));
    assert_words!(sandbox.printed(&["watch add AAPL", "watch add MSFT", "watch add A_B"]));
    let listed = sandbox.out("watch list --json");
    assert_eq!(serde_json::from_str::<Json>(&listed).unwrap()["version"], 2);
    running.signal("INT");
    assert_eq!(running.ended(), Some(0));
    assert!(!sandbox.path("data/simulated/owner").exists(), "the owner has gone");
    sandbox.out("watch remove AAPL");
    let history = sandbox.out("tail watchlist-history");
    let last: Json = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!(last["value"]["summary"], "removed AAPL");
    assert_eq!((&last["value"]["by"], &last["value"]["version"]), (&json!("command"), &json!(3)));
}

#[test]
fn an_owner_that_was_killed_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    running.address();
    running.signal("KILL");
    running.ended();
    assert!(sandbox.path("data/simulated/owner").exists(), "nobody was left to remove it");
    sandbox.out("watch add AAPL");
    assert!(sandbox.out("watch list").contains("AAPL"));
}

#[test]
fn the_list_survives_a_restart() {
    let sandbox = Sandbox::new();
    let mut first = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    first.address();
    sandbox.out("watch add AAPL");
    first.signal("INT");
    first.ended();
    let second = sandbox.start("up --listen 127.0.0.1:0 --prices simulate");
    second.address();
    sandbox.out("watch add MSFT");
    let listed: Json = serde_json::from_str(&sandbox.out("watch list --json")).unwrap();
    assert_eq!(listed, json!({ "version": 2, "entries": [{ "symbol": "AAPL" }, { "symbol": "MSFT" }] }));
}
