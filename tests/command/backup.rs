//! Backups: made beside a running pipeline, read in place, and put back.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars, wait_for};

#[test]
fn a_backup_made_beside_a_running_up_is_put_back_and_goes_on_to_the_same_end() {
    let sandbox = Sandbox::new();
    let slowly = format!("up --listen 127.0.0.1:0 --prices replay:{} --speed 3600", sample_bars().display());
    let mut running = sandbox.start(&slowly);
    let stored = |flags: &str| sandbox.run(&format!("export stock_prices {flags}")).out.lines().count();
    wait_for("some bars", || (stored("") > 100).then_some(()));
    assert!(sandbox.out("backup copy").contains("replayed/"));
    running.kill();
    let held = stored("--data-dir copy");
    assert!(held > 100 && held <= stored(""), "a backup is read as any data folder");
    sandbox.out("restore copy --data-dir elsewhere");
    assert_eq!(stored("--data-dir elsewhere"), held);
    sandbox.out(&format!("{} --data-dir elsewhere", replay_line(&sample_bars())));
    let exported = sandbox.out("export volatility --data-dir elsewhere");
    assert_eq!(exported, sandbox.out(&format!("compute volatility --bars {}", sample_bars().display())));
}

#[test]
fn nothing_is_overwritten_by_a_backup_or_by_putting_one_back() {
    let sandbox = Sandbox::new();
    let before = sandbox.printed(&["backup copy"]);
    sandbox.replay(&sample_bars());
    sandbox.out("backup copy");
    fs::create_dir(sandbox.path("empty")).unwrap();
    fs::create_dir(sandbox.path("other.new")).unwrap();
    sandbox.file("other.new/precious", "text");
    let lines = [
        "backup copy",
        "restore copy",
        "restore nowhere",
        "restore empty",
        "backup data/copy",
        "backup other",
    ];
    assert_words!(before + &sandbox.printed(&lines));
    assert_eq!(fs::read_to_string(sandbox.path("other.new/precious")).unwrap(), "text");
    sandbox.out("backup slashed/");
    sandbox.out("restore slashed --data-dir third");
}

#[test]
fn a_backup_of_a_later_version_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    sandbox.out("backup copy");
    sandbox.file("copy/format", "99");
    let restored = sandbox.printed(&["restore copy --data-dir elsewhere"]);
    assert!(!sandbox.path("elsewhere").exists());
    sandbox.file("data/format", "99");
    assert_words!(restored + &sandbox.printed(&["backup later"]));
}

#[test]
fn what_lets_people_in_goes_with_a_backup_and_stays_its_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    sandbox.out_of("web set-password", "a long enough password");
    sandbox.out_of("web set-password --read-only", "a long enough password");
    sandbox.out("backup copy");
    sandbox.out("restore copy --data-dir elsewhere");
    for file in ["copy/password", "elsewhere/password", "copy/people", "elsewhere/people"] {
        let kept = fs::metadata(sandbox.path(file)).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(!sandbox.path("copy/owner-token").exists());
}

#[test]
fn a_file_that_is_damaged_is_named_by_the_doctor_and_by_a_backup() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let run = fs::read_to_string(sandbox.path("data/last-run")).unwrap();
    let store = sandbox.path("data").join(run.trim()).join("store.db");
    let mut bytes = fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    // Some pages in the middle never reached the disk.
    bytes[middle..middle + 3 * 4_096].fill(0);
    fs::write(&store, bytes).unwrap();
    let ended = sandbox.run("doctor");
    assert_eq!(ended.code, Some(1));
    // SQLite's own words, which may be many lines, depend on which pages are gone.
    let (before, rest) = ended.printed.split_once("store.db").unwrap();
    let (words, rest) = rest.split_once(" (").unwrap();
    let (_, rest) = rest.split_once("): ").unwrap();
    let start = format!("{}store.db{words}", before.lines().last().unwrap());
    let remedy = rest.lines().next().unwrap();
    let refused = sandbox.without_folders(&sandbox.refused("backup copy"));
    let (refused, _) = refused.split_once("moved away: ").unwrap();
    assert_words!(format!("{start} (…): {remedy}\n\n{refused}moved away: …"));
    assert!(!sandbox.path("copy").exists() && !sandbox.path("copy.new").exists());
    // The log is whole: without the damaged file it makes everything again.
    fs::remove_file(&store).unwrap();
    sandbox.replay(&sample_bars());
    let computed = sandbox.out(&format!("compute volatility --bars {}", sample_bars().display()));
    assert_eq!(sandbox.out("export volatility"), computed);
}

#[test]
fn every_command_that_meets_a_damaged_file_says_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let run = fs::read_to_string(sandbox.path("data/last-run")).unwrap();
    let folder = sandbox.path("data").join(run.trim());
    let of_store = vec!["export volatility", "query -"];
    let of_log = vec!["topics", "tail stock-prices", "rules list"];
    for (name, reading) in [("store.db", of_store), ("log.db", of_log)] {
        let whole = fs::read(folder.join(name)).unwrap();
        for bytes in [b"this was a database".repeat(400), Vec::new()] {
            fs::write(folder.join(name), &bytes).unwrap();
            for line in &reading {
                let ended = sandbox.run_with(line, "SELECT symbol FROM volatility");
                assert_eq!(ended.code, Some(1), "{line}: {}", ended.printed);
                let said = &ended.errors;
                assert!(said.contains(name) && said.contains("restore a backup"), "{line}: {said}");
            }
            let started = sandbox.run(&replay_line(&sample_bars()));
            let said = &started.errors;
            assert!(said.contains(name) && said.contains("restore a backup"), "{said}");
            assert_eq!(started.code, Some(i32::from(!bytes.is_empty())), "{said}");
        }
        fs::write(folder.join(name), whole).unwrap();
    }
}

// What did not validate: listed, shown, and put back once it validates.

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

    let run = fs::read_to_string(sandbox.path("data/last-run")).unwrap();
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
