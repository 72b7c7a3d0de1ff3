//! What did not validate: listed, shown, and put back once it validates.

use std::path::PathBuf;

use serde_json::Value as Json;

use crate::harness::{Sandbox, assert_words, replay_line};

const HEADER: &str = "start_ms,symbol,open,high,low,close,volume\n";
const GOOD: &str = "1709562600000,AAPL,10,11,9,10.5,100\n";
const CROSSED: &str = "1709562660000,AAPL,10,9,11,10.5,100\n";

/// A replay of one good bar and two bad rows, of which the second is `bad`.
fn replayed(sandbox: &Sandbox, bad: &str) -> PathBuf {
    let file = sandbox.file("bars.csv", format!("{HEADER}{GOOD}{CROSSED}{bad}"));
    sandbox.replay(&file);
    file
}

#[test]
fn dead_letters_are_listed_with_their_places_and_shown_whole() {
    let sandbox = Sandbox::new();
    replayed(&sandbox, "1709562720000,AAPL,10\n");
    assert_words!(sandbox.printed(&["dead-letters list", "dead-letters show 7", "dead-letters show x"]));
    let shown: Json = serde_json::from_str(&sandbox.out("dead-letters show 0")).unwrap();
    assert_eq!((&shown["event"], &shown["offset"]), (&CROSSED.trim().into(), &0.into()));
    let as_json = sandbox.out("dead-letters list --json --source replay:bars.csv:4");
    assert_eq!(serde_json::from_str::<Json>(as_json.trim()).unwrap()["offset"], 1);
    assert_eq!(sandbox.out("dead-letters list --source polygon"), "");
}

#[test]
fn what_still_does_not_validate_stays_and_says_why() {
    let sandbox = Sandbox::new();
    let file = replayed(&sandbox, "1709562720000,AAPL,10\n");
    assert_words!(sandbox.printed(&[
        "dead-letters replay 0",
        &format!("dead-letters replay 0 1 --header-of {}", file.display()),
        "dead-letters replay --all",
        "dead-letters replay",
    ]));
    assert_eq!(sandbox.out("export stock_prices").lines().count(), 2);
}

#[test]
fn a_row_that_validates_now_goes_back_to_its_topic_through_a_running_up_and_without_one() {
    let sandbox = Sandbox::new();
    let file = replayed(&sandbox, "1709562720000,AAPL,10\n");
    // What a header that named too few columns made of a good row.
    let row = "1709562780000,AAPL,10,11,9,10.25,100";
    let letter = format!(
        r#"{{"source":"replay:bars.csv:9","reason":"the row has 7 columns","event":"{row}","encoding":"text","received_timestamp":1}}"#
    );
    sandbox.append_letter(&letter);
    let line = format!("dead-letters replay 2 --header-of {}", file.display());
    let prices = |sandbox: &Sandbox| sandbox.out("tail stock-prices --key AAPL").lines().count();
    let before = prices(&sandbox);
    let mut printed = sandbox.printed(&[&line]);
    assert_eq!(prices(&sandbox), before + 1);

    let run = std::fs::read_to_string(sandbox.path("data/last-run")).unwrap();
    let running =
        sandbox.start(&format!("up --listen 127.0.0.1:0 --prices replay:{} --speed max", file.display()));
    running.address();
    assert!(sandbox.path(&format!("data/{}/owner", run.trim())).exists());
    printed += &sandbox.printed(&[&line]);
    assert_words!(printed);
    drop(running);
    assert_eq!(prices(&sandbox), before + 2);
    // Twice is once, and the clock that the replay had reached stays.
    sandbox.out(&replay_line(&file));
    let exported = sandbox.out("export stock_prices");
    assert_eq!(exported.lines().count(), 3, "{exported}");
    assert!(exported.contains("10.25"), "{exported}");
}
