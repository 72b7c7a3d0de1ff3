//! What is watched is data: shown and changed by commands, beside a running `up` and without one.

use serde_json::{Value as Json, json};

use crate::harness::{Desk, assert_words};

/// With a key, commands mean the live run, before it was ever started too.
fn live_desk() -> Desk {
    Desk::new().with("POLYGON_API_KEY", "key-4711")
}

impl Desk {
    fn watched(&self) -> Json {
        serde_json::from_str(&self.out("watch list --json")).unwrap()
    }
}

#[test]
fn symbols_and_terms_are_added_listed_and_removed_before_anything_ran() {
    let desk = live_desk();
    let mut printed = desk.printed(&["watch list", "watch add AAPL MSFT"]);
    desk.out("watch add --symbol IBM --term ibm --section business --section us-news");
    desk.out("watch add --term inflation");
    let list = json!([
        { "symbol": "AAPL" },
        { "symbol": "MSFT" },
        { "symbol": "IBM", "search_term": "ibm", "sections": ["business", "us-news"] },
        { "search_term": "inflation" },
    ]);
    assert_eq!(desk.watched(), json!({ "version": 3, "entries": list }));
    printed += &desk.printed(&["watch list", "watch remove AAPL", "watch remove --term inflation"]);
    assert_eq!(desk.watched()["entries"].as_array().unwrap().len(), 2);
    assert_words!(printed + &desk.printed(&["watch add *"]));
}

#[test]
fn what_cannot_be_watched_is_refused_with_the_place_and_changes_nothing() {
    let desk = live_desk();
    desk.out("watch add AAPL");
    assert_words!(desk.printed(&[
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
    assert_eq!(desk.watched(), json!({ "version": 1, "entries": [{ "symbol": "AAPL" }] }));
}

#[test]
fn a_list_is_set_from_the_version_that_it_was_made_from() {
    let desk = live_desk();
    desk.file("list.json", r#"[{"symbol": "AAPL", "search_term": "apple"}, {"symbol": "IBM"}]"#);
    desk.out("watch set list.json");
    desk.file("saved.json", desk.out("watch list --json"));
    desk.out("watch add MSFT");
    let conflict = desk.printed(&["watch set saved.json"]);
    desk.file("bad.json", r#"[{"symbol": "AAPL"}, {"symbol": "A B"}, {"ticker": "IBM"}]"#);
    assert_words!(conflict + &desk.printed(&["watch set bad.json"]));
    desk.out("watch set list.json");
    assert_eq!(desk.watched()["version"], 3);
}

#[test]
fn ten_thousand_entries_are_taken_and_one_more_is_not() {
    let desk = live_desk();
    let list = |count: usize| (0..count).map(|i| json!({ "symbol": format!("S{i}") })).collect::<Json>();
    desk.file("list.json", list(10_000).to_string());
    let taken = desk.printed(&["watch set list.json"]);
    desk.file("list.json", list(10_001).to_string());
    assert_words!(taken + &desk.printed(&["watch set list.json", "watch add MORE"]));
    assert_eq!(desk.watched()["entries"].as_array().unwrap().len(), 10_000);
}

#[test]
fn a_running_up_owns_the_list_and_commands_change_it_through_it() {
    let desk = Desk::new();
    let mut running = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    let address = running.address();
    let owner = std::fs::read_to_string(desk.path("data/simulated/owner")).unwrap();
    assert_eq!(owner.trim(), format!("http://{address}"));
    assert_words!(desk.printed(&["watch add AAPL", "watch add MSFT", "watch add A_B"]));
    let listed = desk.out("watch list --json");
    assert_eq!(serde_json::from_str::<Json>(&listed).unwrap()["version"], 2);
    running.signal("INT");
    assert_eq!(running.ended(), Some(0));
    assert!(!desk.path("data/simulated/owner").exists(), "the owner has gone");
    desk.out("watch remove AAPL");
    let history = desk.out("tail watchlist-history");
    let last: Json = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!(last["value"]["summary"], "removed AAPL");
    assert_eq!((&last["value"]["by"], &last["value"]["version"]), (&json!("command"), &json!(3)));
}

#[test]
fn an_owner_that_was_killed_is_not_waited_for() {
    let desk = Desk::new();
    let mut running = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    running.address();
    running.signal("KILL");
    running.ended();
    assert!(desk.path("data/simulated/owner").exists(), "nobody was left to remove it");
    desk.out("watch add AAPL");
    assert!(desk.out("watch list").contains("AAPL"));
}

#[test]
fn the_list_survives_a_restart() {
    let desk = Desk::new();
    let mut first = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    first.address();
    desk.out("watch add AAPL");
    first.signal("INT");
    first.ended();
    let second = desk.start("up --listen 127.0.0.1:0 --prices simulate");
    second.address();
    desk.out("watch add MSFT");
    let listed: Json = serde_json::from_str(&desk.out("watch list --json")).unwrap();
    assert_eq!(listed, json!({ "version": 2, "entries": [{ "symbol": "AAPL" }, { "symbol": "MSFT" }] }));
}
