//! Commands that look into the data while `up` runs, and after.

use crate::harness::{Desk, assert_words, replay_line, sample_bars, wait_for};

#[test]
fn commands_read_beside_a_running_up() {
    let desk = Desk::new();
    let _running = desk.start("up --listen 127.0.0.1:0");
    let exported = wait_for("rows in the store", || {
        let ended = desk.run("export volatility --symbol AAPL");
        (ended.code == Some(0) && ended.out.lines().count() > 100).then_some(ended.out)
    });
    assert!(exported.lines().skip(1).all(|line| line.starts_with("AAPL,")));
    assert!(desk.out("topics").contains("\"stock-prices\""));
}

#[test]
fn tail_prints_records_as_json_lines_by_key_and_from_a_time() {
    let desk = Desk::new();
    desk.replay(&sample_bars());
    let all = desk.out("tail stock-prices");
    let of_ibm = desk.out("tail stock-prices --key IBM");
    assert!(of_ibm.lines().count() > 100 && of_ibm.lines().count() < all.lines().count() / 3);
    for line in of_ibm.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["key"], &record["value"]["symbol"]), (&"IBM".into(), &"IBM".into()));
    }
    assert_eq!(desk.out("tail stock-prices --from 2100-01-01"), "");
    assert_eq!(desk.out("tail stock-prices --from 2000-01-01"), all);
}

#[test]
fn exports_are_cut_by_symbol_and_time() {
    let desk = Desk::new();
    desk.replay(&sample_bars());
    let all = desk.out("export volatility");
    let end_of = |line: &str| line.split(',').nth(2).unwrap().parse::<i64>().unwrap();
    let of_ibm: Vec<&str> = all.lines().filter(|line| line.starts_with("IBM,")).collect();
    let middle = end_of(of_ibm[of_ibm.len() / 2]);
    let cut = desk.out(&format!("export volatility --symbol IBM --from {middle}"));
    assert_eq!(cut.lines().skip(1).collect::<Vec<_>>(), of_ibm[of_ibm.len() / 2..]);
    let cut = desk.out(&format!("export volatility --symbol IBM --to {middle}"));
    assert_eq!(cut.lines().skip(1).collect::<Vec<_>>(), of_ibm[..of_ibm.len() / 2]);
}

#[test]
fn the_last_run_is_read_unless_another_is_named() {
    let desk = Desk::new();
    desk.replay(&sample_bars());
    let first = std::fs::read_to_string(desk.path("data/last-run")).unwrap().trim().to_owned();
    let fewer: String = std::fs::read_to_string(sample_bars())
        .unwrap()
        .lines()
        .take(100)
        .map(|line| format!("{line}\n"))
        .collect();
    let file = desk.file("fewer.csv", fewer);
    desk.out(&replay_line(&file));
    assert_eq!(desk.out("export stock_prices").lines().count(), 100);
    assert!(desk.out(&format!("export stock_prices --data {first}")).lines().count() > 1_000);
    let said = desk.refused("export stock_prices --data replayed/nothing");
    assert!(said.contains(&first), "{said}");
    assert_words!(desk.without_folders(&said));
}

#[test]
fn a_run_that_was_killed_is_not_said_to_be_running() {
    let desk = Desk::new();
    let mut killed = desk.start("up --listen 127.0.0.1:0");
    killed.address();
    desk.replay(&sample_bars());
    assert_words!(desk.run("topics").errors);
    killed.kill();
    assert_eq!(desk.run("topics").errors, "");
}
