//! Commands that look into the data while `up` runs, and after.

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars, wait_for};

#[test]
fn commands_read_beside_a_running_up() {
    let sandbox = Sandbox::new();
    let _running = sandbox.start("up --listen 127.0.0.1:0");
    let exported = wait_for("rows in the store", || {
        let ended = sandbox.run("export volatility --symbol AAPL");
        (ended.code == Some(0) && ended.out.lines().count() > 100).then_some(ended.out)
    });
    assert!(exported.lines().skip(1).all(|line| line.starts_with("AAPL,")));
    assert!(sandbox.out("topics").contains("\"stock-prices\""));
}

#[test]
fn tail_prints_records_as_json_lines_by_key_and_from_a_time() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let all = sandbox.out("tail stock-prices");
    let of_ibm = sandbox.out("tail stock-prices --key IBM");
    assert!(of_ibm.lines().count() > 100 && of_ibm.lines().count() < all.lines().count() / 3);
    for line in of_ibm.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["key"], &record["value"]["symbol"]), (&"IBM".into(), &"IBM".into()));
    }
    assert_eq!(sandbox.out("tail stock-prices --from 2100-01-01"), "");
    assert_eq!(sandbox.out("tail stock-prices --from 2000-01-01"), all);
}

#[test]
fn exports_are_cut_by_symbol_and_time() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let all = sandbox.out("export volatility");
    let end_of = |line: &str| line.split(',').nth(2).unwrap().parse::<i64>().unwrap();
    let of_ibm: Vec<&str> = all.lines().filter(|line| line.starts_with("IBM,")).collect();
    let middle = end_of(of_ibm[of_ibm.len() / 2]);
    let cut = sandbox.out(&format!("export volatility --symbol IBM --from {middle}"));
    assert_eq!(cut.lines().skip(1).collect::<Vec<_>>(), of_ibm[of_ibm.len() / 2..]);
    let cut = sandbox.out(&format!("export volatility --symbol IBM --to {middle}"));
    assert_eq!(cut.lines().skip(1).collect::<Vec<_>>(), of_ibm[..of_ibm.len() / 2]);
}

#[test]
fn the_last_run_is_read_unless_another_is_named() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let first = std::fs::read_to_string(sandbox.path("data/last-run")).unwrap().trim().to_owned();
    let fewer: String = std::fs::read_to_string(sample_bars())
        .unwrap()
        .lines()
        .take(100)
        .map(|line| format!("{line}\n"))
        .collect();
    let file = sandbox.file("fewer.csv", fewer);
    sandbox.out(&replay_line(&file));
    assert_eq!(sandbox.out("export stock_prices").lines().count(), 100);
    assert!(sandbox.out(&format!("export stock_prices --data {first}")).lines().count() > 1_000);
    let said = sandbox.refused("export stock_prices --data replayed/nothing");
    assert!(said.contains(&first), "{said}");
    assert_words!(sandbox.without_folders(&said));
}

#[test]
fn a_run_that_was_killed_is_not_said_to_be_running() {
    let sandbox = Sandbox::new();
    let mut killed = sandbox.start("up --listen 127.0.0.1:0");
    killed.address();
    sandbox.replay(&sample_bars());
    assert_words!(sandbox.run("topics").errors);
    killed.kill();
    assert_eq!(sandbox.run("topics").errors, "");
}
