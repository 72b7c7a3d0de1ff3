//! A replay through the whole pipeline ends with what `compute` yields.

use std::path::Path;
use std::time::Duration;

use testkit::real_bars;

use crate::harness::{Sandbox, assert_words, replay_line, sample_bars, wait_for};

/// Replays, exports, and compares with what is computed at once.
fn streamed_is_computed(sandbox: &Sandbox, bars: &Path) {
    sandbox.replay(bars);
    same_as_computed(sandbox, bars);
}

fn same_as_computed(sandbox: &Sandbox, bars: &Path) {
    let exported = sandbox.out("export volatility");
    let computed = sandbox.out(&format!("compute volatility --bars {}", bars.display()));
    assert!(computed.lines().count() > 100);
    let differ = exported.lines().zip(computed.lines()).find(|(exported, computed)| exported != computed);
    assert_eq!(differ, None, "the first line that differs");
    assert!(exported == computed, "one is longer than the other");
}

#[test]
fn the_export_is_byte_for_byte_what_is_computed() {
    streamed_is_computed(&Sandbox::new(), &sample_bars());
}

#[test]
fn the_same_holds_for_real_bars_over_nights_and_months() {
    let bars = real_bars();
    streamed_is_computed(&Sandbox::new(), &bars);
}

#[test]
fn killed_at_random_moments_and_started_again_it_ends_the_same() {
    let bars = real_bars();
    // Odd moments, spread over the second or two that a replay takes.
    for seed in [1, 2] {
        let sandbox = Sandbox::new();
        for round in 1..=5_u64 {
            let running = sandbox.start(&replay_line(&bars));
            std::thread::sleep(Duration::from_millis(150 + (seed * 7_919 * round * round) % 900));
            running.signal("KILL");
        }
        streamed_is_computed(&sandbox, &bars);
    }
}

#[test]
fn a_second_run_over_the_same_file_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let first = sandbox.out("export volatility");
    let topics = sandbox.out("topics");
    sandbox.replay(&sample_bars());
    assert_eq!(sandbox.out("export volatility"), first);
    let data = |topics: &str| -> Vec<String> {
        topics.lines().filter(|line| !line.contains("service-status")).map(str::to_owned).collect()
    };
    assert_eq!(data(&sandbox.out("topics")), data(&topics));
}

#[test]
fn late_and_corrected_bars_end_up_in_the_windows_that_they_touch() {
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(sample_bars()).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
    // Every eleventh row comes two hundred rows (about fifty minutes) late …
    for at in (0..rows.len() - 300).step_by(11) {
        let row = rows.remove(at);
        rows.insert(at + 200, row);
    }
    // … and every fifth bar of the last hundred is sent again with another close.
    for at in (rows.len() - 100..rows.len()).step_by(5) {
        let mut fields: Vec<String> = rows[at].split(',').map(str::to_owned).collect();
        fields[5] = fields[3].clone();
        rows.push(fields.join(","));
    }
    let file = sandbox.file("late.csv", format!("{header}\n{}\n", rows.join("\n")));
    streamed_is_computed(&sandbox, &file);
    let sink = sandbox.out("tail service-status --key sink");
    let sink: serde_json::Value = serde_json::from_str(sink.lines().last().unwrap()).unwrap();
    assert!(sink["value"]["counts"]["late"].as_u64().unwrap() > 100, "{sink}");
    assert_eq!(sink["value"]["counts"]["pending"], 0);
}

#[test]
fn bars_are_stored_as_they_came_and_clock_records_never() {
    let sandbox = Sandbox::new();
    sandbox.replay(&sample_bars());
    let exported = sandbox.out("export stock_prices");
    let rows = std::fs::read_to_string(sample_bars()).unwrap().lines().count();
    assert_eq!(exported.lines().count(), rows);
    assert!(!exported.contains('~') && !sandbox.out("export volatility").contains('~'));
    assert!(sandbox.out("tail stock-prices").contains("~clock0"));
}

#[test]
fn news_is_replayed_beside_the_prices() {
    let sandbox = Sandbox::new();
    let news = sample_bars().with_file_name("articles.csv");
    sandbox.out(&format!("{} --news replay:{}", replay_line(&sample_bars()), news.display()));
    let articles = std::fs::read_to_string(&news).unwrap().lines().count();
    assert_eq!(sandbox.out("export news_articles").lines().count(), articles);
}

// Ctrl-C: the first drains and ends, what was done stays done.

#[test]
fn an_interrupted_pipeline_ends_in_order_and_goes_on_where_it_stopped() {
    let sandbox = Sandbox::new();
    let line = format!("up --listen 127.0.0.1:0 --prices replay:{} --speed 600", sample_bars().display());
    let stored = || sandbox.run("export stock_prices").out.lines().count();
    let mut running = sandbox.start(&line);
    wait_for("the first bars", || (stored() > 10).then_some(()));
    running.signal("INT");
    assert_eq!(running.ended(), Some(0));
    let before = stored();
    let mut running = sandbox.start(&line);
    wait_for("more bars", || (stored() > before).then_some(()));
    running.signal("TERM");
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn a_second_ctrl_c_quits() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.start("up --listen 127.0.0.1:0");
    running.address();
    running.signal("INT");
    running.said("once more");
    running.signal("INT");
    assert!(matches!(running.ended(), Some(0 | 130)));
}

// Sessions as a column, and days, weeks and months on demand.

#[test]
fn sessions_are_a_column_where_they_are_asked_for_and_nowhere_else() {
    let sandbox = Sandbox::new();
    let bars = sample_bars();
    let compute = format!("compute volatility --bars {}", bars.display());
    let (plain, labelled) = (sandbox.out(&compute), sandbox.out(&format!("{compute} --sessions")));
    assert!(labelled.lines().next().unwrap().ends_with(",volume,received_until,session"));
    for (plain, labelled) in plain.lines().zip(labelled.lines()).skip(1) {
        let label = labelled.strip_prefix(&format!("{plain},")).unwrap();
        let end: i64 = plain.split(',').nth(2).unwrap().parse().unwrap();
        // The sample is of one regular session, whose last windows reach beyond its close at 21:00 UTC.
        assert_eq!(label, if end > 1_709_586_000_000 { "post" } else { "regular" }, "{plain}");
    }
    sandbox.replay(&bars);
    let exported = sandbox.out("export stock_prices --sessions");
    assert!(exported.lines().next().unwrap().ends_with(",received_timestamp,session"));
    assert!(exported.lines().skip(1).all(|line| line.ends_with(",regular")));
    assert!(!sandbox.out("export stock_prices").contains("regular"));
}

#[test]
fn a_replayed_day_is_summed_up_by_itself_and_again_on_demand() {
    let sandbox = Sandbox::new();
    sandbox.out(&replay_line(&sample_bars()));
    let days = sandbox.out("export bars_daily");
    assert_eq!(days.lines().count(), 1 + 4, "{days}");
    // Its week and month had not closed when the sample ended.
    assert_eq!(sandbox.out("export bars_weekly").lines().count(), 1);
    assert_words!(sandbox.printed(&[
        "aggregate --from 2024-03-04 --to 2024-03-05",
        "aggregate --from 2024-03-05 --to 2024-03-04",
    ]));
    assert_eq!(sandbox.out("export bars_daily"), days);
}

// Commands that look into the data while `up` runs, and after.

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
